"""POST /accounts, GET /accounts"""

from common.http import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap.accounts import service
from functions.accounts.models.accounts import OpenAccount

api = Api()


@api.post("/accounts", body=OpenAccount, idempotent=True)
def open_account(request: Request[OpenAccount, Query]) -> Reply:
    """Opens an account of the caller's."""
    opened = service().open(request.principal.user_id, request.body, request.idempotency, request.actor)
    return Reply.stored(opened.answer, replayed=opened.replayed)


@api.get("/accounts", query=ListQuery)
def list_accounts(request: Request[NoFields, ListQuery]) -> Reply:
    """The caller's accounts."""
    cursors = request.cursors
    page = service().page(request.principal.user_id, cursors.decode(request.query.cursor), request.query.limit)
    return Reply.page(page.items, cursors.encode(page.next_position))


handler = api.handler
