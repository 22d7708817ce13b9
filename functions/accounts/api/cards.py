"""POST /cards, GET /cards, DELETE /cards/{card_id}"""

from common.http import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap.instruments import service
from functions.accounts.domain.instruments import Card
from functions.accounts.models.instruments import LinkCard

api = Api()


@api.post("/cards", body=LinkCard, idempotent=True)
def link_card(request: Request[LinkCard, Query]) -> Reply:
    """Links a card of the caller's."""
    linked = service().link_card(request.principal.user_id, request.body, request.idempotency)
    return Reply.stored(linked.answer, replayed=linked.replayed)


@api.get("/cards", query=ListQuery)
def list_cards(request: Request[NoFields, ListQuery]) -> Reply:
    """The caller's cards."""
    cursors = request.cursors
    after = cursors.decode(request.query.cursor)
    page = service().page(Card, request.principal.user_id, after, request.query.limit)
    return Reply.page(page.items, cursors.encode(page.next_position))


@api.delete("/cards/{card_id}")
def unlink_card(request: Request[NoFields, Query]) -> Reply:
    """Unlinks a card of the caller's."""
    service().unlink(Card, request.principal.user_id, request.id("card_id"))
    return Reply(204)


handler = api.handler
