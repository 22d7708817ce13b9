"""GET /accounts/{account_id}, PATCH /accounts/{account_id}, DELETE /accounts/{account_id}"""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap.accounts import service
from functions.accounts.models.accounts import PatchAccount

api = Api()


@api.get("/accounts/{account_id}")
def get_account(request: Request[NoFields, Query]) -> Reply:
    """An account, for its owner or an admin."""
    who = request.principal
    return Reply(200, service().get(request.id("account_id"), who.user_id, is_admin=who.is_admin))


@api.patch("/accounts/{account_id}", body=PatchAccount)
def patch_account(request: Request[PatchAccount, Query]) -> Reply:
    """Changes what its owner decides of an account, or what an admin does."""
    who, account_id = request.principal, request.id("account_id")
    changed = service().patch(account_id, who.user_id, request.body, request.actor, is_admin=who.is_admin)
    return Reply(200, changed)


@api.delete("/accounts/{account_id}")
def close_account(request: Request[NoFields, Query]) -> Reply:
    """Closes an account, for its owner or an admin."""
    who = request.principal
    service().close(request.id("account_id"), who.user_id, request.actor, is_admin=who.is_admin)
    return Reply(204)


handler = api.handler
