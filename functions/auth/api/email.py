"""POST /v1/auth/email/change and /v1/auth/email/confirm."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import addresses
from functions.auth.models import EmailChange, GivenCode, UserResource

api = Api()


@api.post("/auth/email/change", body=EmailChange, person=True)
def change(request: Request[EmailChange, Query]) -> Reply:
    """Mails a code to the address that is to be the caller's."""
    addresses().change_email(request.actor, request.principal.user_id, request.body.new_email, request.body.password)
    return Reply(202, headers={"Location": "/v1/auth/email/confirm"})


@api.post("/auth/email/confirm", body=GivenCode, person=True)
def confirm(request: Request[GivenCode, Query]) -> Reply:
    """Takes the mailed code as proof of the new address."""
    user = addresses().confirm_email(request.actor, request.principal.user_id, request.body.code)
    return Reply(200, UserResource.of(user))


handler = api.handler
