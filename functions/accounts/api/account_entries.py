"""GET /accounts/{account_id}/entries"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap import journal
from functions.accounts.models.entries import EntriesQuery, EntryResource

api = Api()


@api.get("/accounts/{account_id}/entries", query=EntriesQuery)
def list_entries(request: Request[NoFields, EntriesQuery]) -> Reply:
    """Return a page of the entries of an account to its owner or an admin."""
    query, caller, cursors = request.query, request.principal, request.cursors
    page = journal().entries(
        request.id("account_id"),
        caller.user_id,
        is_admin=caller.is_admin,
        since=query.since,
        until=query.until,
        direction=query.direction,
        position=cursors.decode(query.cursor),
        limit=query.limit,
    )
    return Reply.page([EntryResource.of(line) for line in page.items], cursors.encode(page.next_position))


handler = api.handler
