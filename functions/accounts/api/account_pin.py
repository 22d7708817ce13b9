"""PUT /accounts/{account_id}/pin, POST /accounts/{account_id}/pin/reset, POST /accounts/{account_id}/pin/confirm"""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.accounts.bootstrap.pins import service
from functions.accounts.models.pins import ConfirmPin, SetPin

api = Api()


@api.put("/accounts/{account_id}/pin", body=SetPin, person=True)
def set_pin(request: Request[SetPin, Query]) -> Reply:
    """Sets the PIN of an account of the caller's."""
    owner_id, body = request.principal.user_id, request.body
    service().set(request.id("account_id"), owner_id, body.pin, body.current_pin, request.actor)
    return Reply(204)


@api.post("/accounts/{account_id}/pin/reset", person=True, idempotent=True)
def reset_pin(request: Request[NoFields, Query]) -> Reply:
    """Has a code mailed that resets the PIN of an account of the caller's."""
    account_id, owner_id = request.id("account_id"), request.principal.user_id
    again = service().request_reset(account_id, owner_id, request.idempotency, request.actor)
    return Reply(202, headers={"Location": f"/v1/accounts/{account_id}/pin/confirm", **_replayed(again=again)})


@api.post("/accounts/{account_id}/pin/confirm", body=ConfirmPin, person=True, idempotent=True)
def confirm_pin(request: Request[ConfirmPin, Query]) -> Reply:
    """Sets and unlocks the PIN of an account of the caller's by the code that was mailed."""
    owner_id, body = request.principal.user_id, request.body
    again = service().reset(
        request.id("account_id"), owner_id, body.code, body.new_pin, request.idempotency, request.actor
    )
    return Reply(204, headers=_replayed(again=again))


def _replayed(*, again: bool) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if again else {}


handler = api.handler
