"""GET /accounts/{account_id}/limits, PUT /accounts/{account_id}/limits"""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap.limits import service
from functions.accounts.models.limits import SetLimits

api = Api()


@api.get("/accounts/{account_id}/limits")
def get_limits(request: Request[NoFields, Query]) -> Reply:
    """The spending limits of an account of the caller's, and what is spent of them."""
    return Reply(200, service().get(request.id("account_id"), request.principal.user_id))


@api.put("/accounts/{account_id}/limits", body=SetLimits)
def put_limits(request: Request[SetLimits, Query]) -> Reply:
    """Sets both limits of an account of the caller's."""
    limits = service().put(request.id("account_id"), request.principal.user_id, request.body, request.actor)
    return Reply(200, limits)


handler = api.handler
