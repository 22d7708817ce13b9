"""POST and GET /accounts"""

from common.http.app import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap import accounts
from functions.accounts.models.accounts import AccountResource, OpenAccount

api = Api()


@api.post("/accounts", body=OpenAccount, idempotent=True)
def open_account(request: Request[OpenAccount, Query]) -> Reply:
    """Open an account for the caller."""
    who, wanted = request.principal, request.body.command()
    return Reply.keyed(
        accounts().open(who.user_id, wanted, request.idempotency_key, request.actor, is_admin=who.is_admin)
    )


@api.get("/accounts", query=ListQuery)
def list_accounts(request: Request[NoFields, ListQuery]) -> Reply:
    """Return a page of the caller's accounts."""
    who, cursors = request.principal, request.cursors
    page = accounts().page(who.user_id, cursors.decode(request.query.cursor), request.query.limit)
    shown = [AccountResource.of(each, is_admin=who.is_admin) for each in page.items]
    return Reply.page(shown, cursors.encode(page.next_position))


handler = api.handler
