"""POST /v1/auth/totp, /v1/auth/totp/confirm and /v1/auth/totp/disable."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import authenticators, sessions
from functions.auth.models import EnrolmentResource, GivenCode, TotpDisabling

api = Api()


@api.post("/auth/totp", person=True)
def enrol(request: Request[NoFields, Query]) -> Reply:
    """Makes a secret for an authenticator app; this answer alone shows it."""
    enrolment = authenticators().enrol(request.principal.user_id)
    shown = EnrolmentResource(
        secret=enrolment.secret, otpauth_uri=enrolment.otpauth_uri, recovery_codes=enrolment.recovery_codes
    )
    return Reply.created(shown, "/v1/auth/totp/confirm")


@api.post("/auth/totp/confirm", body=GivenCode, person=True)
def confirm(request: Request[GivenCode, Query]) -> Reply:
    """Makes the app the caller's second factor, given a code of it."""
    who = request.principal
    sessions().check(who.user_id, who.session_id)
    authenticators().confirm(request.actor, who.user_id, request.body.code)
    return Reply(204)


@api.post("/auth/totp/disable", body=TotpDisabling, person=True)
def disable(request: Request[TotpDisabling, Query]) -> Reply:
    """Gives the app up, for the password and a code."""
    authenticators().disable(request.actor, request.principal.user_id, request.body.password, request.body.code)
    return Reply(204)


handler = api.handler
