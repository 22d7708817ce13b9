"""GET /payees"""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.accounts.bootstrap import payees
from functions.accounts.models.payees import PayeeQuery, PayeeResource

api = Api()


@api.get("/payees", query=PayeeQuery)
def look_up(request: Request[NoFields, PayeeQuery]) -> Reply:
    """Return who has an email or phone, so that a payer can check whom they are about to pay."""
    query = request.query
    payee = payees().look_up(request.principal.user_id, email=query.email, phone=query.phone)
    return Reply(200, PayeeResource.of(query.alias, payee))


handler = api.handler
