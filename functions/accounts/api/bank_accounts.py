"""POST and GET /bank-accounts, DELETE /bank-accounts/{bank_account_id}"""

from common.http.app import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.accounts.bootstrap import instruments
from functions.accounts.domain.instruments import BankAccount
from functions.accounts.models.instruments import BankAccountResource, LinkBankAccount

api = Api()


@api.post("/bank-accounts", body=LinkBankAccount, idempotent=True)
def link_bank_account(request: Request[LinkBankAccount, Query]) -> Reply:
    """Link a bank account of the caller."""
    command, key = request.body.command(), request.idempotency_key
    return Reply.keyed(instruments().link_bank_account(request.principal.user_id, command, key))


@api.get("/bank-accounts", query=ListQuery)
def list_bank_accounts(request: Request[NoFields, ListQuery]) -> Reply:
    """Return a page of the caller's bank accounts."""
    query, cursors = request.query, request.cursors
    page = instruments().page(BankAccount, request.principal.user_id, cursors.decode(query.cursor), query.limit)
    return Reply.page([BankAccountResource.of(each) for each in page.items], cursors.encode(page.next_position))


@api.delete("/bank-accounts/{bank_account_id}")
def unlink_bank_account(request: Request[NoFields, Query]) -> Reply:
    """Unlink a bank account of the caller."""
    instruments().unlink(BankAccount, request.principal.user_id, request.id("bank_account_id"))
    return Reply.done()


handler = api.handler
