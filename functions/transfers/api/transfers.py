"""/v1/transfers: send money, and list what was sent and received."""

from typing import Any

from common.http.app import Api, Reply, Request
from common.idempotency import scope_of

from functions.transfers.bootstrap import history, transfers
from functions.transfers.models.history import TransferQuery
from functions.transfers.models.intents import origin_of
from functions.transfers.models.resources import TransferResource
from functions.transfers.models.transfers import SendMoney

api = Api()
_KEYED_PATHS = ("/transfers", "/deposits")


@api.post("/transfers", body=SendMoney, moves_money=True)
def send(request: Request[SendMoney, Any]) -> Reply:
    """Send money and return the outcome."""
    return Reply.keyed(transfers().send(request.body.command(origin_of(request))))


@api.get("/transfers", query=TransferQuery)
def list_transfers(request: Request[Any, TransferQuery]) -> Reply:
    """Return the caller's transfers, newest first."""
    query, caller = request.query, request.principal.user_id
    after_id = request.cursors.decode(query.cursor)
    page = history().list(caller, query.filter(), query.limit, after_id, _key_scopes(request))
    data = [TransferResource.of(transfer, caller) for transfer in page.items]
    return Reply.page(data, request.cursors.encode(page.next_position))


def _key_scopes(request: Request[Any, TransferQuery]) -> list[str] | None:
    """Return the scopes in which the caller may have used the idempotency key of the query, or None without one."""
    key = request.query.idempotency_key
    if key is None:
        return None
    stage = request.path.removesuffix("/transfers")
    return [scope_of(request.principal.user_id, "POST", stage + path, key) for path in _KEYED_PATHS]


handler = api.handler
