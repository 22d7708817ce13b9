"""POST and GET /cards, DELETE /cards/{card_id}"""

from common.http.app import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap import instruments
from functions.accounts.domain.instruments import Card
from functions.accounts.models.instruments import CardResource, LinkCard

api = Api()


@api.post("/cards", body=LinkCard, idempotent=True)
def link_card(request: Request[LinkCard, Query]) -> Reply:
    """Link a card of the caller."""
    command, key = request.body.command(), request.idempotency_key
    return Reply.keyed(instruments().link_card(request.principal.user_id, command, key))


@api.get("/cards", query=ListQuery)
def list_cards(request: Request[NoFields, ListQuery]) -> Reply:
    """Return a page of the caller's cards."""
    query, cursors = request.query, request.cursors
    page = instruments().page(Card, request.principal.user_id, cursors.decode(query.cursor), query.limit)
    return Reply.page([CardResource.of(each) for each in page.items], cursors.encode(page.next_position))


@api.delete("/cards/{card_id}")
def unlink_card(request: Request[NoFields, Query]) -> Reply:
    """Unlink a card of the caller."""
    instruments().unlink(Card, request.principal.user_id, request.id("card_id"))
    return Reply.done()


handler = api.handler
