"""GET /v1/auth/validate."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.models import Validity

api = Api()


@api.get("/auth/validate")
def validate(request: Request[NoFields, Query]) -> Reply:
    """Who the caller is and until when, by what they sent alone; an API key is no session and has no end."""
    who = request.principal
    session_id, expires_at = (None, None) if who.is_key else (who.session_id, who.expires_at)
    return Reply(200, Validity(user_id=who.user_id, role=who.role, session_id=session_id, expires_at=expires_at))


handler = api.handler
