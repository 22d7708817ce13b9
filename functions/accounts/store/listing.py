"""Reading a user's items newest first."""

from itertools import islice

from common.dynamo import Item, Table


def newest(table: Table, pk: str, prefix: str, before: str | None, limit: int) -> list[Item]:
    """Return at most `limit` items whose sort keys are `prefix` and an id, newest first, after the id `before`."""
    if before is None:
        return list(islice(table.query(pk, begins=prefix, limit=limit, descending=True), limit))
    last = prefix + before
    # The range includes its end, which the previous page has shown.
    items = table.query(pk, between=(prefix, last), limit=limit + 1, descending=True)
    return list(islice((item for item in items if item["sk"] != last), limit))
