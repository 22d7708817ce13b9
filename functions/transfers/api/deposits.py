"""/v1/deposits: money from a card or bank account."""

from typing import Any

from common.http import Api, Reply, Request

from functions.transfers.bootstrap import service
from functions.transfers.models import MakeDeposit, origin_of

api = Api()


@api.post("/deposits", body=MakeDeposit, moves_money=True)
def deposit(request: Request[MakeDeposit, Any]) -> Reply:
    """Starts a deposit; it completes when the rail confirms."""
    body = request.body
    authorization = body.authorization(request.principal.user_id)
    first = service().deposit(origin_of(request), authorization, body.description or "")
    return Reply.stored(first.answer, replayed=first.replayed)


handler = api.handler
