"""GET /v1/auth/validate."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.models.sessions import ValidityResource

api = Api()


@api.get("/auth/validate")
def validate(request: Request[NoFields, Query]) -> Reply:
    """Return whom the token or API key stands for, and until when."""
    return Reply(200, ValidityResource.of(request.principal))


handler = api.handler
