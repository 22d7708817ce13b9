"""POST /v1/auth/email/change and /v1/auth/email/confirm."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import addresses
from functions.auth.models.addresses import EmailChange
from functions.auth.models.fields import CodeConfirmation
from functions.auth.models.users import UserResource

api = Api()


@api.post("/auth/email/change", body=EmailChange, person=True)
def change(request: Request[EmailChange, Query]) -> Reply:
    """Mail a code to the caller's new address."""
    addresses().change_email(request.actor, request.principal.user_id, request.body.new_email, request.body.password)
    return Reply(202, headers={"Location": "/v1/auth/email/confirm"})


@api.post("/auth/email/confirm", body=CodeConfirmation, person=True)
def confirm(request: Request[CodeConfirmation, Query]) -> Reply:
    """Change the caller's address, given the mailed code."""
    user = addresses().confirm_email(request.actor, request.principal.user_id, request.body.code)
    return Reply(200, UserResource.of(user))


handler = api.handler
