"""/v1/deposits: money from a card or bank account."""

from typing import Any

from common.http.app import Api, Reply, Request

from functions.transfers.bootstrap import deposits
from functions.transfers.models.deposits import DepositMoney
from functions.transfers.models.intents import origin_of

api = Api()


@api.post("/deposits", body=DepositMoney, moves_money=True)
def deposit(request: Request[DepositMoney, Any]) -> Reply:
    """Start a deposit. It completes when the rail confirms."""
    return Reply.keyed(deposits().make(request.body.command(origin_of(request))))


handler = api.handler
