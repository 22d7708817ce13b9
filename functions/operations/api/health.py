"""GET /v1/health."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.operations.bootstrap import health
from functions.operations.models import HealthResource

api = Api()


@api.get("/health", public=True)
def get_health(request: Request[NoFields, Query]) -> Reply:
    """Return the health of every context: 503 if a table is down.

    Dead letters degrade the health but leave the status at 200: they wait for an operator, and clients are served.
    """
    report = health().report()
    return Reply(200 if report.serving else 503, HealthResource.of(report))


handler = api.handler
