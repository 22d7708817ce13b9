"""POST /v1/auth/password/change."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import password_changes
from functions.auth.models import PasswordChange

api = Api()


@api.post("/auth/password/change", body=PasswordChange, person=True)
def change(request: Request[PasswordChange, Query]) -> Reply:
    """Changes the caller's password and ends their other sessions."""
    who, body = request.principal, request.body
    password_changes().change(request.actor, who.user_id, who.session_id, body.current_password, body.new_password)
    return Reply(204)


handler = api.handler
