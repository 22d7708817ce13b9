"""POST /v1/auth/phone and /v1/auth/phone/confirm."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import addresses
from functions.auth.models import GivenCode, PhoneChange, UserResource

api = Api()


@api.post("/auth/phone", body=PhoneChange, person=True)
def change(request: Request[PhoneChange, Query]) -> Reply:
    """Sends a code to the number that is to be the caller's."""
    addresses().set_phone(request.actor, request.principal.user_id, request.body.phone)
    return Reply(202, headers={"Location": "/v1/auth/phone/confirm"})


@api.post("/auth/phone/confirm", body=GivenCode, person=True)
def confirm(request: Request[GivenCode, Query]) -> Reply:
    """Takes the code as proof of the number."""
    user = addresses().confirm_phone(request.actor, request.principal.user_id, request.body.code)
    return Reply(200, UserResource.of(user))


handler = api.handler
