"""POST /v1/auth/totp, /v1/auth/totp/confirm and /v1/auth/totp/disable."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import authenticators
from functions.auth.models.authenticators import TotpEnrolmentResource, TotpRemoval
from functions.auth.models.fields import CodeConfirmation

api = Api()


@api.post("/auth/totp", recent_login=True)
def enrol(request: Request[NoFields, Query]) -> Reply:
    """Make a secret for an authenticator app. Only this response shows it."""
    enrolment = authenticators().enrol(request.principal.user_id)
    return Reply.created(TotpEnrolmentResource.of(enrolment), "/v1/auth/totp/confirm")


@api.post("/auth/totp/confirm", body=CodeConfirmation, recent_login=True)
def confirm(request: Request[CodeConfirmation, Query]) -> Reply:
    """Make the app the caller's second factor, given a code of it, and end their other sessions."""
    who = request.principal
    authenticators().confirm(request.actor, who.user_id, who.session_id, request.body.code)
    return Reply(204)


@api.post("/auth/totp/disable", body=TotpRemoval, recent_login=True)
def disable(request: Request[TotpRemoval, Query]) -> Reply:
    """Disable the app, given the password and a code."""
    authenticators().disable(request.actor, request.principal.user_id, request.body.password, request.body.code)
    return Reply(204)


handler = api.handler
