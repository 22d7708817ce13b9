"""GET /banks and GET /currencies"""

from collections.abc import Mapping

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Resource
from common.iso4217 import CURRENCIES
from common.paging import take

from functions.accounts.domain.banks import BANKS
from functions.accounts.models.accounts import CatalogQuery, CurrencyResource
from functions.accounts.models.instruments import BankResource

api = Api()


@api.get("/banks", public=True, query=CatalogQuery)
def list_banks(request: Request[NoFields, CatalogQuery]) -> Reply:
    """Return the banks whose accounts can be linked."""
    return _listed(request, {bank.id: BankResource.of(bank) for bank in BANKS.values()})


@api.get("/currencies", public=True, query=CatalogQuery)
def list_currencies(request: Request[NoFields, CatalogQuery]) -> Reply:
    """Return the currencies that accounts can have."""
    return _listed(
        request,
        {code: CurrencyResource(code=code, exponent=digits, name=name) for code, (digits, name) in CURRENCIES.items()},
    )


def _listed(request: Request[NoFields, CatalogQuery], entries: Mapping[str, Resource]) -> Reply:
    after = request.cursors.decode(request.query.cursor)
    left = [(key, entry) for key, entry in sorted(entries.items()) if after is None or key > after]
    page = take(left, request.query.limit or len(entries))
    return Reply.page(page.items, request.cursors.encode(page.next_position))


handler = api.handler
