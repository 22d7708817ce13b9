"""GET /v1/health."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.operations.bootstrap import service
from functions.operations.models import HealthModel

api = Api()


@api.get("/health", public=True)
def health(request: Request[NoFields, Query]) -> Reply:
    """How every room stands: 503 where a table does not serve. Dead letters degrade, and leave it at 200: they wait
    for an operator, while clients are served."""
    found = service().health()
    return Reply(200 if found.serving else 503, HealthModel.of(found))


handler = api.handler
