"""The room's types and rules, one file a subject; nothing here does I/O, reads a clock or rolls dice."""


class Stale(Exception):
    """A write was refused because what it was decided from has changed. Read again and decide anew."""
