"""Reading a user's items newest first."""

from itertools import islice

from common.dynamo import Item, Table


def newest(table: Table, pk: str, prefix: str, before: str | None, limit: int) -> list[Item]:
    """At most `limit` items of a partition whose sort keys are `prefix` and an id, newest first, after id `before`."""
    if before is None:
        return list(islice(table.query(pk, begins=prefix, limit=limit, descending=True), limit))
    last = prefix + before
    # The range includes its end, which the page before has shown.
    items = table.query(pk, between=(prefix, last), limit=limit + 1, descending=True)
    return list(islice((item for item in items if item["sk"] != last), limit))
