"""Approving transfers and deposits. A refusal here records nothing but a wrong PIN.

Frozen accounts and balances are checked when the transfer is posted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.contracts.accounts import ApproveDeposit, ApproveTransfer, Destination, Party, TransferApproval
from common.contracts.auth import FindUser
from common.contracts.events import Actor
from common.errors import Refusal

from functions.accounts.domain.accounts import is_user_account
from functions.accounts.domain.approvals import ApprovalData
from functions.accounts.domain.banks import BANKS
from functions.accounts.domain.payees import Payee

if TYPE_CHECKING:
    from functions.accounts.store.approvals import ApprovalStore


class Approvals:
    """The approval of transfers and deposits.

    `fetch_payee` finds a user whose event has not arrived yet. `check_pin` is `Pins.check`.
    """

    def __init__(
        self,
        store: "ApprovalStore",
        fetch_payee: Callable[[FindUser], Payee | None],
        check_pin: Callable[[str, str | None, Actor], None],
    ) -> None:
        self._store = store
        self._fetch_payee = fetch_payee
        self._check_pin = check_pin

    def transfer(self, request: ApproveTransfer) -> TransferApproval:
        """Approve a transfer. Raises Refusal in the order of `ApproveTransfer`."""
        to = request.destination
        named = to.email or to.phone or to.user_id
        data = self._store.read(
            accounts=[each for each in (request.source_account_id, to.account_id) if each and is_user_account(each)],
            defaults=[
                (user_id, request.currency)
                for user_id in (None if request.source_account_id else request.caller_id, to.user_id)
                if user_id
            ],
            payees=[request.caller_id, *([named] if named else [])],
        )
        source_id = _source_id(request, data)
        data = self._read_further(request, source_id, data)
        source = data.accounts[source_id]
        if not source.is_open_for(request.caller_id):
            # A default account that was closed since the first read.
            raise Refusal("not_found")
        if source.pin_set:
            self._check_pin(source_id, request.pin, request.actor)
        account_id, payee = (
            self._payee_of_account(to.account_id, data)
            if to.account_id
            else self._payee_by_name(to, request.currency, data)
        )
        if account_id == source_id:
            raise Refusal("same_account")
        parties = (data.accounts[each] for each in (source_id, account_id) if each in data.accounts)
        if any(account.currency != request.currency for account in parties):
            raise Refusal("currency_mismatch")
        return TransferApproval(
            source=self._caller(request.caller_id, source_id, data),
            destination=Party(
                "account",
                account_id,
                payee.user_id,
                payee.display_name,
                alias=to.email or to.phone,
                addressed=to.account_id is not None,
            ),
        )

    def deposit(self, request: ApproveDeposit) -> TransferApproval:
        """Approve a deposit. Raises Refusal in the order of `ApproveDeposit`. The rail declines expired cards."""
        caller_id = request.caller_id
        data = self._store.read(
            accounts=[request.account_id] if is_user_account(request.account_id) else [],
            payees=[caller_id],
            cards=[(caller_id, request.card_id)] if request.card_id else [],
            bank_accounts=[(caller_id, request.bank_account_id)] if request.bank_account_id else [],
        )
        account = data.accounts.get(request.account_id)
        card = data.cards.get(request.card_id or "")
        bank_account = data.bank_accounts.get(request.bank_account_id or "")
        if account is None or not account.is_open_for(caller_id):
            raise Refusal("not_found")
        if card:
            source, last4 = Party("card", card.id, caller_id, card.display_name), card.last4
        elif bank_account:
            name = f"{BANKS[bank_account.bank_id].name} {bank_account.iban_last4}"
            source, last4 = Party("bank_account", bank_account.id, caller_id, name), bank_account.iban_last4
        else:
            raise Refusal("not_found")
        if account.currency != request.currency:
            raise Refusal("currency_mismatch")
        return TransferApproval(source, self._caller(caller_id, account.id, data), last4)

    def _read_further(self, request: ApproveTransfer, source_id: str, data: ApprovalData) -> ApprovalData:
        """Return the data with what only the first read names, read in one more call or in none."""
        to = request.destination
        destination = data.accounts.get(to.account_id or "")
        payee = data.payees.get(to.email or to.phone or "")
        accounts = [source_id] if source_id not in data.accounts else []
        payees = [destination.owner_id] if destination and destination.owner_id not in data.payees else []
        defaults = [(payee.user_id, request.currency)] if payee else []
        if not (accounts or payees or defaults):
            return data
        return data.joined(self._store.read(accounts=accounts, payees=payees, defaults=defaults))

    def _payee_of_account(self, account_id: str, data: ApprovalData) -> tuple[str, Payee]:
        account = data.accounts.get(account_id)
        if account is None or not account.is_open:
            raise Refusal("payee_not_found")
        owner_id = account.owner_id
        return account_id, _payable(data.payees.get(owner_id) or self._fetch_payee(FindUser(user_id=owner_id)))

    def _payee_by_name(self, to: Destination, currency: str, data: ApprovalData) -> tuple[str, Payee]:
        known = data.payees.get(to.email or to.phone or to.user_id or "")
        payee = _payable(known or self._fetch_payee(FindUser(user_id=to.user_id, email=to.email, phone=to.phone)))
        default = (payee.user_id, currency)
        data = data if known or to.user_id else self._store.read(defaults=[default])
        if default not in data.defaults:
            raise Refusal("payee_not_found")
        return data.defaults[default], payee

    def _caller(self, caller_id: str, account_id: str, data: ApprovalData) -> Party:
        caller = data.payees.get(caller_id) or self._fetch_payee(FindUser(user_id=caller_id))
        if caller is None:
            raise Refusal("not_found")
        return Party("account", account_id, caller_id, caller.display_name)


def _source_id(request: ApproveTransfer, data: ApprovalData) -> str:
    if request.source_account_id is None:
        source_id = data.defaults.get((request.caller_id, request.currency))
    else:
        account = data.accounts.get(request.source_account_id)
        source_id = account.id if account and account.is_open_for(request.caller_id) else None
    if source_id is None:
        raise Refusal("not_found")
    return source_id


def _payable(payee: Payee | None) -> Payee:
    if payee is None or not payee.is_payable:
        raise Refusal("payee_not_found")
    return payee
