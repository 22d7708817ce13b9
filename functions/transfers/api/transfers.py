"""/v1/transfers: send money, and the list of what was sent and received."""

from typing import Any

from common.http import Api, Reply, Request
from common.idempotency import key_of

from functions.transfers.bootstrap import service
from functions.transfers.models import SendMoney, TransferQuery, origin_of

api = Api()


@api.post("/transfers", body=SendMoney, moves_money=True)
def send(request: Request[SendMoney, Any]) -> Reply:
    """Sends money and answers with the outcome."""
    body = request.body
    authorization = body.authorization(request.principal.user_id, request.actor)
    first = service().send(origin_of(request), authorization, body.description or "", body.metadata or {})
    return Reply.stored(first.answer, replayed=first.replayed)


@api.get("/transfers", query=TransferQuery)
def history(request: Request[Any, TransferQuery]) -> Reply:
    """The caller's transfers, newest first."""
    query, caller = request.query, request.principal.user_id
    after_id = request.cursors.decode(query.cursor)
    found, next_id = service().transfers(caller, query.filter(), query.limit, after_id, _scopes(request))
    return Reply.page([transfer.seen_by(caller) for transfer in found], request.cursors.encode(next_id))


def _scopes(request: Request[Any, TransferQuery]) -> list[str] | None:
    """Where the caller may have used the idempotency key that is asked for, if one is."""
    key = request.query.idempotency_key
    if key is None:
        return None
    paths = (request.path, request.path.removesuffix("/transfers") + "/deposits")
    return [key_of(request.principal.user_id, "POST", path, key, {}, b"").scope for path in paths]


handler = api.handler
