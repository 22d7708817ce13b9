"""POST /v1/auth/phone and /v1/auth/phone/confirm."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import addresses
from functions.auth.models.addresses import PhoneChange
from functions.auth.models.fields import CodeConfirmation
from functions.auth.models.users import UserResource

api = Api()


@api.post("/auth/phone", body=PhoneChange, recent_login=True)
def change(request: Request[PhoneChange, Query]) -> Reply:
    """Send a code to the caller's new phone number."""
    addresses().set_phone(request.actor, request.principal.user_id, request.body.phone)
    return Reply(202, headers={"Location": "/v1/auth/phone/confirm"})


@api.post("/auth/phone/confirm", body=CodeConfirmation, recent_login=True)
def confirm(request: Request[CodeConfirmation, Query]) -> Reply:
    """Change the caller's phone number, given the code."""
    user = addresses().confirm_phone(request.actor, request.principal.user_id, request.body.code)
    return Reply(200, UserResource.of(user))


handler = api.handler
