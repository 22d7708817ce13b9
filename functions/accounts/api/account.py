"""GET, PATCH and DELETE /accounts/{account_id}"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap import accounts
from functions.accounts.models.accounts import AccountResource, PatchAccount

api = Api()


@api.get("/accounts/{account_id}")
def get_account(request: Request[NoFields, Query]) -> Reply:
    """Return an account to its owner or an admin."""
    who = request.principal
    found = accounts().get(request.id("account_id"), who.user_id, is_admin=who.is_admin)
    return Reply(200, AccountResource.of(found, is_admin=who.is_admin))


@api.patch("/accounts/{account_id}", body=PatchAccount)
def patch_account(request: Request[PatchAccount, Query]) -> Reply:
    """Change an account, for its owner or an admin."""
    who, account_id = request.principal, request.id("account_id")
    patch = request.body.command()
    patched = accounts().patch(account_id, who.user_id, patch, request.actor, is_admin=who.is_admin)
    return Reply(200, AccountResource.of(patched, is_admin=who.is_admin))


@api.delete("/accounts/{account_id}")
def close_account(request: Request[NoFields, Query]) -> Reply:
    """Close an account, for its owner or an admin."""
    who = request.principal
    accounts().close(request.id("account_id"), who.user_id, request.actor, is_admin=who.is_admin)
    return Reply.done()


handler = api.handler
