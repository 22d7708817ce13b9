"""/v1/transfers/{transfer_id}: one transfer."""

from typing import Any

from common.http import Api, Reply, Request

from functions.transfers.bootstrap import service

api = Api()


@api.get("/transfers/{transfer_id}")
def get(request: Request[Any, Any]) -> Reply:
    """A transfer as one of its parties or an admin sees it."""
    who = request.principal
    found = service().transfer(request.id("transfer_id"), who.user_id, is_admin=who.is_admin)
    return Reply(200, found.seen_by(who.user_id, is_admin=who.is_admin))


handler = api.handler
