"""May this be sent, and to whom does it go? Refusals here record nothing; frozen accounts and balances are the
posting's business."""

from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import Problem
from common.events import Actor
from common.tasks import Authorization, AuthorizeDeposit, AuthorizeTransfer, Destination, FindUser, Party

from functions.accounts.domain.accounts import is_user_account
from functions.accounts.domain.banks import BANKS
from functions.accounts.domain.facts import Facts
from functions.accounts.domain.payees import Payee


class FactStore(Protocol):
    """What authorizing needs of a store."""

    def look_up(
        self,
        *,
        accounts: Sequence[str] = (),
        defaults: Sequence[tuple[str, str]] = (),
        payees: Sequence[str] = (),
        cards: Sequence[tuple[str, str]] = (),
        bank_accounts: Sequence[tuple[str, str]] = (),
    ) -> Facts:
        """Everything asked for in one read: accounts by id, defaults by user and currency, payees by user id or alias,
        cards and bank accounts by user and id."""


class _Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Authorizer:
    """Authorizes transfers and deposits.

    `learn` finds a user whom the directory lacks; `check_pin` raises Problem.
    """

    def __init__(
        self,
        store: FactStore,
        learn: Callable[[FindUser], Payee | None],
        check_pin: Callable[[str, str | None, Actor], None],
    ) -> None:
        self._store = store
        self._learn = learn
        self._check_pin = check_pin

    def transfer(self, ask: AuthorizeTransfer) -> Authorization:
        """Both parties of a transfer, or why it may not be.

        Codes: `not_found` (source account), then `pin_required`, `invalid_pin`, `pin_locked`, then `same_account`,
        `payee_not_found`, `currency_mismatch`. Raises Problem `unavailable` where the PIN kept being tried meanwhile.
        """
        try:
            return self._transfer(ask)
        except _Refused as refusal:
            return Authorization("refused", refusal.code)

    def deposit(self, ask: AuthorizeDeposit) -> Authorization:
        """Both parties of a deposit, or why it may not be.

        Codes: `not_found` (account, card or bank account), then `currency_mismatch`. An expired card is the rail's to
        decline.
        """
        try:
            return self._deposit(ask)
        except _Refused as refusal:
            return Authorization("refused", refusal.code)

    def _transfer(self, ask: AuthorizeTransfer) -> Authorization:
        to = ask.destination
        named = to.email or to.phone or to.user_id
        facts = self._store.look_up(
            accounts=[each for each in (ask.source_account_id, to.account_id) if each and is_user_account(each)],
            defaults=[
                (user_id, ask.currency)
                for user_id in (None if ask.source_account_id else ask.caller_id, to.user_id)
                if user_id
            ],
            payees=[ask.caller_id, *([named] if named else [])],
        )
        source_id = _source(ask, facts)
        facts = self._look_further(ask, source_id, facts)
        self._check_source(ask, source_id, facts)
        account_id, payee = (
            self._payee_of_account(to.account_id, facts)
            if to.account_id
            else self._payee_by_name(to, ask.currency, facts)
        )
        if account_id == source_id:
            raise _Refused("same_account")
        addressed = (facts.accounts[each] for each in (source_id, account_id) if each in facts.accounts)
        if any(account.currency != ask.currency for account in addressed):
            raise _Refused("currency_mismatch")
        return Authorization(
            "authorized",
            source=Party("account", source_id, ask.caller_id, self._caller(ask.caller_id, facts).display_name),
            destination=Party(
                "account",
                account_id,
                payee.user_id,
                payee.display_name,
                alias=to.email or to.phone,
                addressed=to.account_id is not None,
            ),
        )

    def _deposit(self, ask: AuthorizeDeposit) -> Authorization:
        facts = self._store.look_up(
            accounts=[ask.account_id] if is_user_account(ask.account_id) else [],
            payees=[ask.caller_id],
            cards=[(ask.caller_id, ask.card_id)] if ask.card_id else [],
            bank_accounts=[(ask.caller_id, ask.bank_account_id)] if ask.bank_account_id else [],
        )
        account = facts.accounts.get(ask.account_id)
        card = facts.cards.get(ask.card_id or "")
        bank_account = facts.bank_accounts.get(ask.bank_account_id or "")
        if account is None or not account.is_open_for(ask.caller_id):
            raise _Refused("not_found")
        if card:
            source, last4 = Party("card", card.id, ask.caller_id, card.display_name), card.last4
        elif bank_account:
            name = f"{BANKS[bank_account.bank_id].name} {bank_account.iban_last4}"
            source, last4 = Party("bank_account", bank_account.id, ask.caller_id, name), bank_account.iban_last4
        else:
            raise _Refused("not_found")
        if account.currency != ask.currency:
            raise _Refused("currency_mismatch")
        name = self._caller(ask.caller_id, facts).display_name
        destination = Party("account", account.id, ask.caller_id, name)
        return Authorization("authorized", source=source, destination=destination, last4=last4)

    def _look_further(self, ask: AuthorizeTransfer, source_id: str, facts: Facts) -> Facts:
        """The facts with those that only the first ones name, in one more read, or in none."""
        to = ask.destination
        destination = facts.accounts.get(to.account_id or "")
        listed = facts.payees.get(to.email or to.phone or "")
        accounts = [source_id] if source_id not in facts.accounts else []
        # One's own name was read with the rest.
        payees = [destination.owner_id] if destination and destination.owner_id not in facts.payees else []
        defaults = [(listed.user_id, ask.currency)] if listed else []
        if not (accounts or payees or defaults):
            return facts
        return facts.joined(self._store.look_up(accounts=accounts, payees=payees, defaults=defaults))

    def _check_source(self, ask: AuthorizeTransfer, source_id: str, facts: Facts) -> None:
        if not facts.accounts[source_id].is_open_for(ask.caller_id):
            # A default that was closed since it was read.
            raise _Refused("not_found")
        if not facts.accounts[source_id].pin_set:
            return
        try:
            self._check_pin(source_id, ask.pin, ask.actor)
        except Problem as problem:
            if problem.kind.status != 422:
                raise
            raise _Refused(problem.code) from problem

    def _payee_of_account(self, account_id: str, facts: Facts) -> tuple[str, Payee]:
        account = facts.accounts.get(account_id)
        if account is None or not account.is_open:
            raise _Refused("payee_not_found")
        owner_id = account.owner_id
        return account_id, _payable(facts.payees.get(owner_id) or self._learn(FindUser(user_id=owner_id)))

    def _payee_by_name(self, to: Destination, currency: str, facts: Facts) -> tuple[str, Payee]:
        listed = facts.payees.get(to.email or to.phone or to.user_id or "")
        payee = _payable(listed or self._learn(FindUser(user_id=to.user_id, email=to.email, phone=to.phone)))
        account = (payee.user_id, currency)
        known = facts if listed or to.user_id else self._store.look_up(defaults=[account])
        if account not in known.defaults:
            raise _Refused("payee_not_found")
        return known.defaults[account], payee

    def _caller(self, caller_id: str, facts: Facts) -> Payee:
        caller = facts.payees.get(caller_id) or self._learn(FindUser(user_id=caller_id))
        if caller is None:
            raise _Refused("not_found")
        return caller


def _source(ask: AuthorizeTransfer, facts: Facts) -> str:
    if ask.source_account_id is None:
        source_id = facts.defaults.get((ask.caller_id, ask.currency))
    else:
        account = facts.accounts.get(ask.source_account_id)
        source_id = account.id if account and account.is_open_for(ask.caller_id) else None
    if source_id is None:
        raise _Refused("not_found")
    return source_id


def _payable(payee: Payee | None) -> Payee:
    if payee is None or not payee.is_payable:
        raise _Refused("payee_not_found")
    return payee
