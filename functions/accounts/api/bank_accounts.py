"""POST /bank-accounts, GET /bank-accounts, DELETE /bank-accounts/{bank_account_id}"""

from common.http import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap.instruments import service
from functions.accounts.domain.instruments import BankAccount
from functions.accounts.models.instruments import LinkBankAccount

api = Api()


@api.post("/bank-accounts", body=LinkBankAccount, idempotent=True)
def link_bank_account(request: Request[LinkBankAccount, Query]) -> Reply:
    """Links a bank account of the caller's."""
    linked = service().link_bank_account(request.principal.user_id, request.body, request.idempotency)
    return Reply.stored(linked.answer, replayed=linked.replayed)


@api.get("/bank-accounts", query=ListQuery)
def list_bank_accounts(request: Request[NoFields, ListQuery]) -> Reply:
    """The caller's bank accounts."""
    cursors = request.cursors
    after = cursors.decode(request.query.cursor)
    page = service().page(BankAccount, request.principal.user_id, after, request.query.limit)
    return Reply.page(page.items, cursors.encode(page.next_position))


@api.delete("/bank-accounts/{bank_account_id}")
def unlink_bank_account(request: Request[NoFields, Query]) -> Reply:
    """Unlinks a bank account of the caller's."""
    service().unlink(BankAccount, request.principal.user_id, request.id("bank_account_id"))
    return Reply(204)


handler = api.handler
