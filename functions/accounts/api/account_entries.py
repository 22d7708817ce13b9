"""GET /v1/accounts/{account_id}/entries: what moved the account's balance, newest first."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap.journal import service
from functions.accounts.models.entries import EntriesQuery, Entry

api = Api()


@api.get("/accounts/{account_id}/entries", query=EntriesQuery)
def list_entries(request: Request[NoFields, EntriesQuery]) -> Reply:
    """The entries of an account of the caller's, or to an admin of anyone's."""
    query, caller, cursors = request.query, request.principal, request.cursors
    page = service().entries(
        request.id("account_id"),
        caller.user_id,
        is_admin=caller.is_admin,
        since=query.since,
        until=query.until,
        direction=query.direction,
        position=cursors.decode(query.cursor),
        limit=query.limit,
    )
    return Reply.page([Entry.of(line) for line in page.items], cursors.encode(page.next_position))


handler = api.handler
