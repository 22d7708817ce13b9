"""GET /v1/accounts/{account_id}/balance: now, or as of a moment."""

from dataclasses import asdict

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap.journal import service
from functions.accounts.models.entries import BalanceQuery

api = Api()


@api.get("/accounts/{account_id}/balance", query=BalanceQuery)
def get_balance(request: Request[NoFields, BalanceQuery]) -> Reply:
    """The balance of an account of the caller's, or to an admin of anyone's."""
    caller = request.principal
    account_id = request.id("account_id")
    balance = service().balance(account_id, caller.user_id, is_admin=caller.is_admin, at=request.query.at)
    return Reply(200, asdict(balance))


handler = api.handler
