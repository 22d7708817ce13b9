"""GET /payees"""

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap.payees import service
from functions.accounts.models.payees import PayeeQuery, PayeeResource

api = Api()


@api.get("/payees", query=PayeeQuery)
def look_up(request: Request[NoFields, PayeeQuery]) -> Reply:
    """Whom an email or phone belongs to, so that a payer can see that it is who they mean."""
    query = request.query
    payee = service().look_up(request.principal.user_id, email=query.email, phone=query.phone)
    return Reply(200, PayeeResource.of(query.alias, payee))


handler = api.handler
