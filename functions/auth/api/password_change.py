"""POST /v1/auth/password/change."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import passwords
from functions.auth.models.passwords import PasswordChange

api = Api()


@api.post("/auth/password/change", body=PasswordChange, person=True)
def change(request: Request[PasswordChange, Query]) -> Reply:
    """Change the caller's password and end their other sessions."""
    who, body = request.principal, request.body
    passwords().change(request.actor, who.user_id, who.session_id, body.current_password, body.new_password)
    return Reply(204)


handler = api.handler
