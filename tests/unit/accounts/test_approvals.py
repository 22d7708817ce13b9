from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from common.contracts.accounts import ApproveDeposit, ApproveTransfer, Destination, Party, TransferApproval
from common.contracts.auth import FindUser, FoundUser
from common.errors import Refusal

from functions.accounts.domain.instruments import Card
from functions.accounts.models.instruments import LinkBankAccount, LinkCard
from tests.unit.accounts.world import NOBODYS_ACCOUNT, World, once, refused

SYSTEM_ACCOUNT = "rail:sandbox:USD"
EMAIL = "bob.hopper@example.org"
PHONE = "+4915112345678"


class TransferWorld(World):
    """Ada, who pays, and Bob, who is paid; both have an account in USD."""

    def __init__(self) -> None:
        super().__init__()
        self.ada = self.register("ada.lovelace@example.org")
        self.bob = self.register(EMAIL, phone=PHONE, phone_verified=True)
        self.source = self.open(self.ada)
        self.payee = self.open(self.bob)
        self.table.calls.clear()

    def ask(self, source: str | None = None, currency: str = "USD", **destination: str) -> TransferApproval:
        return self.approvals.transfer(
            ApproveTransfer(self.ada, source, Destination(**destination), 100, currency),
        )

    def approved(self, account_id: str, **party: Any) -> TransferApproval:
        """The approval of a transfer from Ada's default account."""
        return TransferApproval(
            source=Party("account", self.source, self.ada, "Ada L."),
            destination=Party("account", account_id, party.pop("owner_id", self.bob), "Bob H.", **party),
        )

    @property
    def reads(self) -> int:
        return len(self.table.calls)


@pytest.fixture
def world() -> TransferWorld:
    return TransferWorld()


# --- transfers: how the payee is addressed ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, False])
def test_a_payee_by_email(world: TransferWorld, given: bool) -> None:
    answer = world.ask(world.source if given else None, email=EMAIL)
    assert answer == world.approved(world.payee, alias=EMAIL)
    assert world.reads == 2


@pytest.mark.parametrize("given", [True, False])
def test_a_payee_by_phone(world: TransferWorld, given: bool) -> None:
    answer = world.ask(world.source if given else None, phone=PHONE)
    assert answer == world.approved(world.payee, alias=PHONE)
    assert world.reads == 2


@pytest.mark.parametrize("given", [True, False])
def test_a_payee_by_user_id(world: TransferWorld, given: bool) -> None:
    answer = world.ask(world.source if given else None, user_id=world.bob)
    assert answer == world.approved(world.payee)
    assert world.reads == (1 if given else 2)


@pytest.mark.parametrize("given", [True, False])
def test_a_payee_by_account_id(world: TransferWorld, given: bool) -> None:
    answer = world.ask(world.source if given else None, account_id=world.payee)
    assert answer == world.approved(world.payee, addressed=True)
    assert world.reads == 2


def test_a_transfer_between_own_accounts_needs_one_read(world: TransferWorld) -> None:
    savings = world.open(world.ada)
    world.table.calls.clear()
    answer = world.ask(world.source, account_id=savings)
    assert answer.destination == Party("account", savings, world.ada, "Ada L.", addressed=True)
    assert world.reads == 1


def test_a_transfer_to_oneself_by_email_from_another_account(world: TransferWorld) -> None:
    savings = world.open(world.ada)
    answer = world.ask(savings, email="ada.lovelace@example.org")
    assert answer.source == Party("account", savings, world.ada, "Ada L.")
    assert answer.destination == Party("account", world.source, world.ada, "Ada L.", alias="ada.lovelace@example.org")


def test_the_default_of_the_currency_is_used_on_both_sides(world: TransferWorld) -> None:
    mine, theirs = world.open(world.ada, "JPY"), world.open(world.bob, "JPY")
    answer = world.ask(currency="JPY", email=EMAIL)
    assert (answer.source.id, answer.destination.id) == (mine, theirs)


def test_approving_writes_nothing(world: TransferWorld) -> None:
    before = world.table.items()
    for destination in ({"email": EMAIL}, {"account_id": world.payee}, {"email": "nobody@example.org"}):
        with suppress(Refusal):
            world.ask(**destination)
    assert world.table.items() == before


@pytest.mark.parametrize("end", ["source", "payee"])
def test_a_transfer_from_or_to_a_frozen_account_is_approved(world: TransferWorld, end: str) -> None:
    world.set_status(getattr(world, end), "frozen")
    assert world.ask(world.source, account_id=world.payee)


# --- transfers: refusals ----------------------------------------------------------------------------------------------


def test_a_source_of_another_user_is_not_found(world: TransferWorld) -> None:
    for source in (world.payee, NOBODYS_ACCOUNT, SYSTEM_ACCOUNT):
        refused("not_found", partial(world.ask, source, email=EMAIL))
    refused("not_found", partial(world.ask, currency="EUR", email=EMAIL))
    world.set_status(world.source, "closed")
    refused("not_found", partial(world.ask, world.source, email=EMAIL))


def test_a_source_is_checked_before_everything_else(world: TransferWorld) -> None:
    refused("not_found", partial(world.ask, world.payee, account_id=world.payee))
    refused("not_found", partial(world.ask, world.payee, currency="EUR", email="nobody@example.org"))


@pytest.mark.parametrize("given", [True, False])
def test_source_and_destination_must_differ(world: TransferWorld, given: bool) -> None:
    source = world.source if given else None
    for destination in ({"account_id": world.source}, {"user_id": world.ada}, {"email": "ada.lovelace@example.org"}):
        refused("same_account", partial(world.ask, source, **destination))


def test_same_account_is_checked_before_the_currency(world: TransferWorld) -> None:
    refused("same_account", partial(world.ask, world.source, "EUR", account_id=world.source))


def test_an_unknown_payee(world: TransferWorld) -> None:
    strangers = [
        {"account_id": NOBODYS_ACCOUNT},
        {"account_id": SYSTEM_ACCOUNT},
        {"email": "nobody@example.org"},
        {"phone": "+4915100000000"},
        {"user_id": "usr_01K0000000000000000000000Z"},
    ]
    for destination in strangers:
        refused("payee_not_found", partial(world.ask, world.source, **destination))


def test_a_system_account_can_not_be_addressed(world: TransferWorld) -> None:
    world.table.put({"pk": f"A#{SYSTEM_ACCOUNT}", "sk": "H", "account_id": SYSTEM_ACCOUNT, "currency": "USD"})
    refused("payee_not_found", partial(world.ask, account_id=SYSTEM_ACCOUNT))
    refused("not_found", partial(world.ask, SYSTEM_ACCOUNT, email=EMAIL))


@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("alias", ["email", "phone"])
def test_an_unverified_alias_is_no_payee(world: TransferWorld, alias: str, handled: bool) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=handled, email_verified=False, phone="+4915111111111")
    world.open(cyd)
    destination = {"email": "cyd.charisse@example.org", "phone": "+4915111111111"}[alias]
    refused("payee_not_found", partial(world.ask, **{alias: destination}))
    assert world.ask(user_id=cyd)


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_a_suspended_or_deleted_user_is_no_payee_however_addressed(world: TransferWorld, status: str) -> None:
    world.change(world.bob, status=status)
    if status == "deleted":
        del world.users[world.bob]
    for destination in ({"email": EMAIL}, {"phone": PHONE}, {"user_id": world.bob}, {"account_id": world.payee}):
        refused("payee_not_found", partial(world.ask, **destination))


def test_a_suspended_user_without_an_entry_is_no_payee(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False, status="suspended")
    world.open(cyd)
    for _ in range(2):
        refused("payee_not_found", partial(world.ask, email="cyd.charisse@example.org"))
    assert world.asked == [FindUser(email="cyd.charisse@example.org")]


def test_a_payee_without_an_account_in_the_currency(world: TransferWorld) -> None:
    world.open(world.ada, "EUR")
    for destination in ({"email": EMAIL}, {"phone": PHONE}, {"user_id": world.bob}):
        refused("payee_not_found", partial(world.ask, currency="EUR", **destination))


def test_a_closed_destination(world: TransferWorld) -> None:
    world.set_status(world.payee, "closed")
    refused("payee_not_found", partial(world.ask, account_id=world.payee))
    refused("payee_not_found", partial(world.ask, world.source, "EUR", account_id=world.payee))


def test_currencies_must_match(world: TransferWorld) -> None:
    euros = world.open(world.bob, "EUR")
    refused("currency_mismatch", partial(world.ask, world.source, "USD", account_id=euros))
    refused("currency_mismatch", partial(world.ask, world.source, "EUR", account_id=euros))
    refused("currency_mismatch", partial(world.ask, world.source, "EUR", email=EMAIL))
    refused("currency_mismatch", partial(world.ask, world.source, "EUR", account_id=world.payee))
    refused("payee_not_found", partial(world.ask, world.source, "JPY", email=EMAIL))


# --- transfers: users without an entry --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["email", "phone", "user_id"])
def test_a_user_without_an_entry_is_fetched_once(world: TransferWorld, by: str) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False, phone="+4915111111111", phone_verified=True)
    account_id = world.open(cyd)
    destination = {by: {"email": "cyd.charisse@example.org", "phone": "+4915111111111", "user_id": cyd}[by]}
    answers = [world.ask(**destination) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].destination.id == account_id
    assert answers[0].destination.display_name == "Cyd C."
    assert world.asked == [FindUser(**destination)]


def test_the_owner_of_a_destination_is_fetched(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False)
    account_id = world.open(cyd)
    assert world.ask(account_id=account_id).destination == Party("account", account_id, cyd, "Cyd C.", addressed=True)
    assert world.asked == [FindUser(user_id=cyd)]
    world.ask(account_id=account_id)
    assert len(world.asked) == 1


def test_an_unknown_owner_is_no_payee(world: TransferWorld) -> None:
    account_id = world.open("usr_01K0000000000000000000000Z")
    refused("payee_not_found", partial(world.ask, account_id=account_id))


def test_a_payer_without_an_entry_is_fetched(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False)
    account_id = world.open(cyd)
    ask = ApproveTransfer(cyd, None, Destination(email=EMAIL), 100, "USD")
    for _ in range(2):
        assert world.approvals.transfer(ask).source == Party("account", account_id, cyd, "Cyd C.")
    assert world.asked == [FindUser(user_id=cyd)]


def test_an_unknown_payer_is_not_found(world: TransferWorld) -> None:
    stranger = "usr_01K0000000000000000000000Z"
    world.open(stranger)
    ask = ApproveTransfer(stranger, None, Destination(email=EMAIL), 100, "USD")
    refused("not_found", lambda: world.approvals.transfer(ask))


def test_a_newly_verified_alias_is_payable_before_its_event_arrives(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", email_verified=False)
    account_id = world.open(cyd)
    verified = world.change(cyd, handled=False, email_verified=True)
    first = world.ask(email="cyd.charisse@example.org")
    assert first.destination.id == account_id
    world.payees.handle(verified)
    assert world.ask(email="cyd.charisse@example.org") == first
    assert len(world.asked) == 1


def test_a_fetched_user_does_not_overwrite_a_newer_event(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False)
    world.open(cyd)
    once(world.table, "transact", "before", lambda: world.change(cyd, email="cyd.new@example.org"))
    world.ask(email="cyd.charisse@example.org")
    assert world.item("P#cyd.charisse@example.org", "P") is None
    entry = world.item("P#cyd.new@example.org", "P")
    assert entry is not None
    assert entry["sequence"] == 2


def test_an_alias_that_changes_hands_during_a_fetch_belongs_to_the_new_user(world: TransferWorld) -> None:
    cyd = world.register("cyd.charisse@example.org", handled=False)
    world.open(cyd)
    dee = world.register("dee.dee@example.org")
    theirs = world.open(dee)
    genuine = world.find_user

    def slow(ask: FindUser) -> FoundUser:
        answer = genuine(ask)
        # Before the reply arrives, Cyd gives the address up and Dee verifies it.
        world.change(cyd, handled=False, email="cyd.new@example.org")
        world.change(dee, email="cyd.charisse@example.org")
        world.clock.advance(milliseconds=1)
        return answer

    world.payees._find_user = slow
    world.ask(email="cyd.charisse@example.org")
    world.payees._find_user = genuine
    answer = world.ask(email="cyd.charisse@example.org")
    assert answer.destination.id == theirs


# --- deposits ---------------------------------------------------------------------------------------------------------


class DepositWorld(TransferWorld):
    """Ada and Bob have each linked a card and a bank account."""

    def __init__(self) -> None:
        super().__init__()
        self.card = self.link_card(self.ada, "4242424242424242")
        self.bank_account = self.link_bank_account(self.ada)
        self.bobs_card = self.link_card(self.bob, "5555555555554444")
        self.bobs_bank_account = self.link_bank_account(self.bob)
        self.table.calls.clear()

    def link_card(self, user_id: str, number: str) -> str:
        body = {"number": number, "holder_name": "X", "exp_month": 12, "exp_year": 2026, "cvv": "123"}
        location = self.instruments.link_card(user_id, LinkCard.model_validate(body).command(), None).answer.location
        return str(location).rpartition("/")[2]

    def link_bank_account(self, user_id: str) -> str:
        body = {"bank_id": "hanse-bank", "iban": "DE89370400440532013000", "holder_name": "X"}
        linked = self.instruments.link_bank_account(user_id, LinkBankAccount.model_validate(body).command(), None)
        return str(linked.answer.location).rpartition("/")[2]

    def deposit(self, account_id: str, currency: str = "USD", **source: str) -> TransferApproval:
        return self.approvals.deposit(ApproveDeposit(self.ada, account_id, 100, currency, **source))


@pytest.fixture
def deposits() -> DepositWorld:
    return DepositWorld()


def test_a_deposit_by_card(deposits: DepositWorld) -> None:
    assert deposits.deposit(deposits.source, card_id=deposits.card) == TransferApproval(
        source=Party("card", deposits.card, deposits.ada, "Visa 4242"),
        destination=Party("account", deposits.source, deposits.ada, "Ada L."),
        last4="4242",
    )
    assert deposits.reads == 1


def test_a_deposit_from_a_bank_account(deposits: DepositWorld) -> None:
    assert deposits.deposit(deposits.source, bank_account_id=deposits.bank_account) == TransferApproval(
        source=Party("bank_account", deposits.bank_account, deposits.ada, "Hanse Bank 3000"),
        destination=Party("account", deposits.source, deposits.ada, "Ada L."),
        last4="3000",
    )


def test_a_deposit_needs_an_account_and_an_instrument_of_the_caller(deposits: DepositWorld) -> None:
    refused("not_found", partial(deposits.deposit, deposits.payee, card_id=deposits.card))
    refused("not_found", partial(deposits.deposit, NOBODYS_ACCOUNT, card_id=deposits.card))
    refused("not_found", partial(deposits.deposit, SYSTEM_ACCOUNT, card_id=deposits.card))
    refused("not_found", partial(deposits.deposit, deposits.source, card_id=deposits.bobs_card))
    refused("not_found", partial(deposits.deposit, deposits.source, bank_account_id=deposits.bobs_bank_account))
    refused("not_found", partial(deposits.deposit, deposits.source, card_id="crd_01K0000000000000000000000A"))
    refused("not_found", partial(deposits.deposit, deposits.source))


def test_a_deposit_into_a_closed_account_is_refused_and_into_a_frozen_one_is_not(deposits: DepositWorld) -> None:
    deposits.set_status(deposits.source, "frozen")
    assert deposits.deposit(deposits.source, card_id=deposits.card)
    deposits.set_status(deposits.source, "closed")
    refused("not_found", partial(deposits.deposit, deposits.source, card_id=deposits.card))


def test_a_deposit_in_another_currency(deposits: DepositWorld) -> None:
    refused("currency_mismatch", partial(deposits.deposit, deposits.source, "EUR", card_id=deposits.card))
    refused("not_found", partial(deposits.deposit, deposits.source, "EUR", card_id=deposits.bobs_card))


def test_a_deposit_by_an_expired_card_is_approved(deposits: DepositWorld) -> None:
    deposits.clock.advance(days=60)
    assert deposits.deposit(deposits.source, card_id=deposits.card)


def test_a_deposit_by_an_unlinked_card_is_refused(deposits: DepositWorld) -> None:
    deposits.instruments.unlink(Card, deposits.ada, deposits.card)
    refused("not_found", partial(deposits.deposit, deposits.source, card_id=deposits.card))


def test_a_depositor_without_an_entry_is_fetched(deposits: DepositWorld) -> None:
    deposits.table.delete((f"P#{deposits.ada}", "P"))
    answer = deposits.deposit(deposits.source, card_id=deposits.card)
    assert answer.destination == Party("account", deposits.source, deposits.ada, "Ada L.")
