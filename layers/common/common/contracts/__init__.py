"""The types that contexts exchange: task requests and outcomes, one module a context, and events.

Nothing here imports more than the standard library, `common.clock` and `common.ids`, so that rules and use cases can
name these types without loading AWS. `common.tasks` calls and serves tasks; `common.events` publishes and consumes
events.
"""
