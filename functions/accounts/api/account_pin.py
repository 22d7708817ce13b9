"""PUT /accounts/{account_id}/pin, POST /accounts/{account_id}/pin/reset and POST /accounts/{account_id}/pin/confirm"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap import pins
from functions.accounts.models.pins import ConfirmPin, SetPin

api = Api()


@api.put("/accounts/{account_id}/pin", body=SetPin, person=True)
def set_pin(request: Request[SetPin, Query]) -> Reply:
    """Set the PIN of the caller's account. The first one needs a recent login; later ones need the current PIN."""
    account_id, owner_id, body = request.id("account_id"), request.principal.user_id, request.body
    if not pins().is_set(account_id, owner_id):
        request.require_recent_login()
    pins().set(account_id, owner_id, body.pin, body.current_pin, request.actor)
    return Reply.done()


@api.post("/accounts/{account_id}/pin/reset", person=True, idempotent=True)
def reset_pin(request: Request[NoFields, Query]) -> Reply:
    """Mail the caller a code that resets the PIN of their account."""
    account_id, owner_id = request.id("account_id"), request.principal.user_id
    replayed = pins().request_reset(account_id, owner_id, request.idempotency_key, request.actor)
    return Reply.done(202, replayed=replayed, location=f"/v1/accounts/{account_id}/pin/confirm")


@api.post("/accounts/{account_id}/pin/confirm", body=ConfirmPin, person=True, idempotent=True)
def confirm_pin(request: Request[ConfirmPin, Query]) -> Reply:
    """Set and unlock the PIN of the caller's account, given the mailed code."""
    account_id, owner_id, body = request.id("account_id"), request.principal.user_id, request.body
    replayed = pins().reset(account_id, owner_id, body.code, body.new_pin, request.idempotency_key, request.actor)
    return Reply.done(replayed=replayed)


handler = api.handler
