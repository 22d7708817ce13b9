"""GET /accounts/{account_id}/balance"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap import journal
from functions.accounts.models.entries import BalanceQuery, BalanceResource

api = Api()


@api.get("/accounts/{account_id}/balance", query=BalanceQuery)
def get_balance(request: Request[NoFields, BalanceQuery]) -> Reply:
    """Return the balance of an account, now or at a time, to its owner or an admin."""
    caller = request.principal
    account_id = request.id("account_id")
    balance = journal().balance(account_id, caller.user_id, is_admin=caller.is_admin, at=request.query.at)
    return Reply(200, BalanceResource.of(balance))


handler = api.handler
