"""/v1/transfers/{transfer_id}: one transfer."""

from typing import Any

from common.http.app import Api, Reply, Request

from functions.transfers.bootstrap import history
from functions.transfers.models.resources import TransferResource

api = Api()


@api.get("/transfers/{transfer_id}")
def get(request: Request[Any, Any]) -> Reply:
    """Return a transfer as one of its parties or an admin sees it."""
    who = request.principal
    transfer = history().get(request.id("transfer_id"), who.user_id, is_admin=who.is_admin)
    return Reply(200, TransferResource.of(transfer, who.user_id, is_admin=who.is_admin))


handler = api.handler
