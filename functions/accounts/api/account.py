"""GET /accounts/{account_id}"""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap.accounts import service

api = Api()


@api.get("/accounts/{account_id}")
def get_account(request: Request[NoFields, Query]) -> Reply:
    """An account, for its owner or an admin."""
    who = request.principal
    return Reply(200, service().get(request.id("account_id"), who.user_id, is_admin=who.is_admin))


handler = api.handler
