"""GET and PUT /accounts/{account_id}/limits"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap import limits
from functions.accounts.models.limits import LimitsResource, SetLimits

api = Api()


@api.get("/accounts/{account_id}/limits")
def get_limits(request: Request[NoFields, Query]) -> Reply:
    """Return the spending limits of the caller's account, and what was spent of them."""
    current = limits().get(request.id("account_id"), request.principal.user_id)
    return Reply(200, LimitsResource.of(current))


@api.put("/accounts/{account_id}/limits", body=SetLimits)
def put_limits(request: Request[SetLimits, Query]) -> Reply:
    """Set both spending limits of the caller's account."""
    account_id, owner_id, body = request.id("account_id"), request.principal.user_id, request.body
    current = limits().put(account_id, owner_id, body.daily, body.weekly, body.pin, request.actor)
    return Reply(200, LimitsResource.of(current))


handler = api.handler
