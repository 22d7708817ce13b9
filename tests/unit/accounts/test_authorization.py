from typing import Any

import pytest
from common.tasks import Authorization, AuthorizeDeposit, AuthorizeTransfer, Destination, FindUser, FoundUser, Party

from functions.accounts.domain.instruments import Card
from functions.accounts.models.instruments import LinkBankAccount, LinkCard
from tests.unit.accounts.world import World, once

SYSTEM_ACCOUNT = "rail:sandbox:USD"
NOBODYS = "acc_01K0000000000000000000000A"
EMAIL = "bob.hopper@example.org"
PHONE = "+4915112345678"


class Town(World):
    """Ada, who pays, and Bob, who is paid; both have an account in USD."""

    def __init__(self) -> None:
        super().__init__()
        self.ada = self.register("ada.lovelace@example.org")
        self.bob = self.register(EMAIL, phone=PHONE, phone_verified=True)
        self.source = self.open(self.ada)
        self.payee = self.open(self.bob)
        self.table.calls.clear()

    def ask(self, source: str | None = None, currency: str = "USD", **destination: str) -> Authorization:
        return self.authorizer.transfer(
            AuthorizeTransfer(self.ada, source, Destination(**destination), 100, currency),
        )

    def authorized(self, account_id: str, **party: Any) -> Authorization:
        """What authorizing a transfer from Ada's default account to this account answers."""
        return Authorization(
            "authorized",
            source=Party("account", self.source, self.ada, "Ada L."),
            destination=Party("account", account_id, party.pop("owner_id", self.bob), "Bob H.", **party),
        )

    @property
    def reads(self) -> int:
        return len(self.table.calls)


@pytest.fixture
def town() -> Town:
    return Town()


def refused(code: str) -> Authorization:
    return Authorization("refused", code)


# --- transfers: who is addressed how ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, False])
def test_by_email(town: Town, given: bool) -> None:
    answer = town.ask(town.source if given else None, email=EMAIL)
    assert answer == town.authorized(town.payee, alias=EMAIL)
    assert town.reads == 2


@pytest.mark.parametrize("given", [True, False])
def test_by_phone(town: Town, given: bool) -> None:
    answer = town.ask(town.source if given else None, phone=PHONE)
    assert answer == town.authorized(town.payee, alias=PHONE)
    assert town.reads == 2


@pytest.mark.parametrize("given", [True, False])
def test_by_user_id(town: Town, given: bool) -> None:
    answer = town.ask(town.source if given else None, user_id=town.bob)
    assert answer == town.authorized(town.payee)
    assert town.reads == (1 if given else 2)


@pytest.mark.parametrize("given", [True, False])
def test_by_account_id(town: Town, given: bool) -> None:
    answer = town.ask(town.source if given else None, account_id=town.payee)
    assert answer == town.authorized(town.payee, addressed=True)
    assert town.reads == 2


def test_between_ones_own_accounts_one_read_does(town: Town) -> None:
    savings = town.open(town.ada)
    town.table.calls.clear()
    answer = town.ask(town.source, account_id=savings)
    assert answer.destination == Party("account", savings, town.ada, "Ada L.", addressed=True)
    assert town.reads == 1


def test_to_oneself_by_email_from_another_account(town: Town) -> None:
    savings = town.open(town.ada)
    answer = town.ask(savings, email="ada.lovelace@example.org")
    assert answer.source == Party("account", savings, town.ada, "Ada L.")
    assert answer.destination == Party("account", town.source, town.ada, "Ada L.", alias="ada.lovelace@example.org")


def test_the_default_of_the_currency_is_used_on_both_sides(town: Town) -> None:
    mine, theirs = town.open(town.ada, "JPY"), town.open(town.bob, "JPY")
    answer = town.ask(currency="JPY", email=EMAIL)
    assert answer.source is not None
    assert answer.destination is not None
    assert (answer.source.id, answer.destination.id) == (mine, theirs)


def test_authorizing_writes_nothing(town: Town) -> None:
    before = town.table.items()
    for destination in ({"email": EMAIL}, {"account_id": town.payee}, {"email": "nobody@example.org"}):
        town.ask(**destination)
    assert town.table.items() == before


@pytest.mark.parametrize("end", ["source", "payee"])
def test_frozen_is_the_postings_business(town: Town, end: str) -> None:
    town.set_status(getattr(town, end), "frozen")
    assert town.ask(town.source, account_id=town.payee).outcome == "authorized"


# --- transfers: refusals ----------------------------------------------------------------------------------------------


def test_a_source_that_is_not_the_callers_is_not_found(town: Town) -> None:
    for source in (town.payee, NOBODYS, SYSTEM_ACCOUNT):
        assert town.ask(source, email=EMAIL) == refused("not_found")
    assert town.ask(currency="EUR", email=EMAIL) == refused("not_found")
    town.set_status(town.source, "closed")
    assert town.ask(town.source, email=EMAIL) == refused("not_found")


def test_a_source_not_found_wins_over_all_else(town: Town) -> None:
    assert town.ask(town.payee, account_id=town.payee) == refused("not_found")
    assert town.ask(town.payee, currency="EUR", email="nobody@example.org") == refused("not_found")


@pytest.mark.parametrize("given", [True, False])
def test_source_and_destination_may_not_be_one(town: Town, given: bool) -> None:
    source = town.source if given else None
    for destination in ({"account_id": town.source}, {"user_id": town.ada}, {"email": "ada.lovelace@example.org"}):
        assert town.ask(source, **destination) == refused("same_account")


def test_same_account_wins_over_the_currency(town: Town) -> None:
    assert town.ask(town.source, "EUR", account_id=town.source) == refused("same_account")


def test_who_cannot_be_paid(town: Town) -> None:
    strangers = [
        {"account_id": NOBODYS},
        {"account_id": SYSTEM_ACCOUNT},
        {"email": "nobody@example.org"},
        {"phone": "+4915100000000"},
        {"user_id": "usr_01K0000000000000000000000Z"},
    ]
    for destination in strangers:
        assert town.ask(town.source, **destination) == refused("payee_not_found")


def test_a_system_account_cannot_be_addressed_though_it_has_a_head(town: Town) -> None:
    town.table.put({"pk": f"A#{SYSTEM_ACCOUNT}", "sk": "H", "account_id": SYSTEM_ACCOUNT, "currency": "USD"})
    assert town.ask(account_id=SYSTEM_ACCOUNT) == refused("payee_not_found")
    assert town.ask(SYSTEM_ACCOUNT, email=EMAIL) == refused("not_found")


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("alias", ["email", "phone"])
def test_an_alias_that_is_not_verified_is_nobodys(town: Town, alias: str, heard: bool) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=heard, email_verified=False, phone="+4915111111111")
    town.open(cyd)
    destination = {"email": "cyd.charisse@example.org", "phone": "+4915111111111"}[alias]
    assert town.ask(**{alias: destination}) == refused("payee_not_found")
    assert town.ask(user_id=cyd).outcome == "authorized"


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_a_user_who_is_suspended_or_gone_is_no_payee_however_addressed(town: Town, status: str) -> None:
    town.change(town.bob, status=status)
    if status == "deleted":
        del town.users[town.bob]
    for destination in ({"email": EMAIL}, {"phone": PHONE}, {"user_id": town.bob}, {"account_id": town.payee}):
        assert town.ask(**destination) == refused("payee_not_found")


def test_a_suspended_user_the_directory_has_not_heard_of_is_no_payee(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False, status="suspended")
    town.open(cyd)
    for _ in range(2):
        assert town.ask(email="cyd.charisse@example.org") == refused("payee_not_found")
    assert town.asked == [FindUser(email="cyd.charisse@example.org")]


def test_a_payee_without_an_account_in_the_currency(town: Town) -> None:
    town.open(town.ada, "EUR")
    for destination in ({"email": EMAIL}, {"phone": PHONE}, {"user_id": town.bob}):
        assert town.ask(currency="EUR", **destination) == refused("payee_not_found")


def test_a_closed_destination(town: Town) -> None:
    town.set_status(town.payee, "closed")
    assert town.ask(account_id=town.payee) == refused("payee_not_found")
    assert town.ask(town.source, "EUR", account_id=town.payee) == refused("payee_not_found")


def test_currencies_have_to_agree(town: Town) -> None:
    euros = town.open(town.bob, "EUR")
    assert town.ask(town.source, "USD", account_id=euros) == refused("currency_mismatch")
    assert town.ask(town.source, "EUR", account_id=euros) == refused("currency_mismatch")
    assert town.ask(town.source, "EUR", email=EMAIL) == refused("currency_mismatch")
    assert town.ask(town.source, "EUR", account_id=town.payee) == refused("currency_mismatch")
    assert town.ask(town.source, "JPY", email=EMAIL) == refused("payee_not_found")


# --- transfers: whom the directory does not know yet ------------------------------------------------------------------


@pytest.mark.parametrize("by", ["email", "phone", "user_id"])
def test_a_miss_asks_the_auth_room_once_and_is_then_a_hit(town: Town, by: str) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False, phone="+4915111111111", phone_verified=True)
    account_id = town.open(cyd)
    destination = {by: {"email": "cyd.charisse@example.org", "phone": "+4915111111111", "user_id": cyd}[by]}
    answers = [town.ask(**destination) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].destination is not None
    assert answers[0].destination.id == account_id
    assert answers[0].destination.display_name == "Cyd C."
    assert town.asked == [FindUser(**destination)]


def test_a_miss_by_account_asks_for_its_owner(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False)
    account_id = town.open(cyd)
    assert town.ask(account_id=account_id).destination == Party("account", account_id, cyd, "Cyd C.", addressed=True)
    assert town.asked == [FindUser(user_id=cyd)]
    town.ask(account_id=account_id)
    assert len(town.asked) == 1


def test_an_owner_whom_nobody_knows_is_no_payee(town: Town) -> None:
    account_id = town.open("usr_01K0000000000000000000000Z")
    assert town.ask(account_id=account_id) == refused("payee_not_found")


def test_a_payer_the_directory_has_not_heard_of(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False)
    account_id = town.open(cyd)
    ask = AuthorizeTransfer(cyd, None, Destination(email=EMAIL), 100, "USD")
    for _ in range(2):
        assert town.authorizer.transfer(ask).source == Party("account", account_id, cyd, "Cyd C.")
    assert town.asked == [FindUser(user_id=cyd)]


def test_a_payer_whom_nobody_knows_may_not_pay(town: Town) -> None:
    stranger = "usr_01K0000000000000000000000Z"
    town.open(stranger)
    ask = AuthorizeTransfer(stranger, None, Destination(email=EMAIL), 100, "USD")
    assert town.authorizer.transfer(ask) == refused("not_found")


def test_a_freshly_verified_alias_is_payable_before_its_event_comes(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", email_verified=False)
    account_id = town.open(cyd)
    verified = town.change(cyd, heard=False, email_verified=True)
    first = town.ask(email="cyd.charisse@example.org")
    assert first.destination is not None
    assert first.destination.id == account_id
    town.directory.hear(verified)
    assert town.ask(email="cyd.charisse@example.org") == first
    assert len(town.asked) == 1


def test_what_was_learned_does_not_overwrite_what_was_heard_meanwhile(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False)
    town.open(cyd)
    once(town.table, "before", "transact", lambda: town.change(cyd, email="cyd.new@example.org"))
    town.ask(email="cyd.charisse@example.org")
    assert town.item("P#cyd.charisse@example.org", "P") is None
    entry = town.item("P#cyd.new@example.org", "P")
    assert entry is not None
    assert entry["sequence"] == 2


def test_an_alias_that_moved_while_we_asked_goes_to_the_one_who_has_it(town: Town) -> None:
    cyd = town.register("cyd.charisse@example.org", heard=False)
    town.open(cyd)
    dee = town.register("dee.dee@example.org")
    theirs = town.open(dee)
    genuine = town.find_user

    def slow(ask: FindUser) -> FoundUser:
        answer = genuine(ask)
        # The answer is on its way while Cyd gives the address up and Dee verifies it.
        town.change(cyd, heard=False, email="cyd.new@example.org")
        town.change(dee, email="cyd.charisse@example.org")
        town.clock.advance(milliseconds=1)
        return answer

    town.directory._find_user = slow
    town.ask(email="cyd.charisse@example.org")
    town.directory._find_user = genuine
    answer = town.ask(email="cyd.charisse@example.org")
    assert answer.destination is not None
    assert answer.destination.id == theirs


# --- deposits ---------------------------------------------------------------------------------------------------------


class Bank(Town):
    """Ada has linked a card and a bank account, and so has Bob."""

    def __init__(self) -> None:
        super().__init__()
        self.card = self.link_card(self.ada, "4242424242424242")
        self.bank_account = self.link_bank_account(self.ada)
        self.bobs_card = self.link_card(self.bob, "5555555555554444")
        self.bobs_bank_account = self.link_bank_account(self.bob)
        self.table.calls.clear()

    def link_card(self, user_id: str, number: str) -> str:
        body = {"number": number, "holder_name": "X", "exp_month": 12, "exp_year": 2026, "cvv": "123"}
        location = self.instruments.link_card(user_id, LinkCard.model_validate(body), None).answer.location
        return str(location).rpartition("/")[2]

    def link_bank_account(self, user_id: str) -> str:
        body = {"bank_id": "hanse-bank", "iban": "DE89370400440532013000", "holder_name": "X"}
        linked = self.instruments.link_bank_account(user_id, LinkBankAccount.model_validate(body), None)
        return str(linked.answer.location).rpartition("/")[2]

    def deposit(self, account_id: str, currency: str = "USD", **source: str) -> Authorization:
        return self.authorizer.deposit(AuthorizeDeposit(self.ada, account_id, 100, currency, **source))


@pytest.fixture
def bank() -> Bank:
    return Bank()


def test_a_deposit_by_card(bank: Bank) -> None:
    assert bank.deposit(bank.source, card_id=bank.card) == Authorization(
        "authorized",
        source=Party("card", bank.card, bank.ada, "Visa 4242"),
        destination=Party("account", bank.source, bank.ada, "Ada L."),
        last4="4242",
    )
    assert bank.reads == 1


def test_a_deposit_from_a_bank_account(bank: Bank) -> None:
    assert bank.deposit(bank.source, bank_account_id=bank.bank_account) == Authorization(
        "authorized",
        source=Party("bank_account", bank.bank_account, bank.ada, "Hanse Bank 3000"),
        destination=Party("account", bank.source, bank.ada, "Ada L."),
        last4="3000",
    )


def test_what_a_deposit_needs_has_to_be_the_callers(bank: Bank) -> None:
    assert bank.deposit(bank.payee, card_id=bank.card) == refused("not_found")
    assert bank.deposit(NOBODYS, card_id=bank.card) == refused("not_found")
    assert bank.deposit(SYSTEM_ACCOUNT, card_id=bank.card) == refused("not_found")
    assert bank.deposit(bank.source, card_id=bank.bobs_card) == refused("not_found")
    assert bank.deposit(bank.source, bank_account_id=bank.bobs_bank_account) == refused("not_found")
    assert bank.deposit(bank.source, card_id="crd_01K0000000000000000000000A") == refused("not_found")
    assert bank.deposit(bank.source) == refused("not_found")


def test_a_deposit_into_a_closed_account_is_refused_and_into_a_frozen_one_is_not(bank: Bank) -> None:
    bank.set_status(bank.source, "frozen")
    assert bank.deposit(bank.source, card_id=bank.card).outcome == "authorized"
    bank.set_status(bank.source, "closed")
    assert bank.deposit(bank.source, card_id=bank.card) == refused("not_found")


def test_a_deposit_in_another_currency(bank: Bank) -> None:
    assert bank.deposit(bank.source, "EUR", card_id=bank.card) == refused("currency_mismatch")
    assert bank.deposit(bank.source, "EUR", card_id=bank.bobs_card) == refused("not_found")


def test_an_expired_card_is_the_rails_to_decline(bank: Bank) -> None:
    bank.clock.advance(days=60)
    assert bank.deposit(bank.source, card_id=bank.card).outcome == "authorized"


def test_an_unlinked_card_deposits_nothing(bank: Bank) -> None:
    bank.instruments.unlink(Card, bank.ada, bank.card)
    assert bank.deposit(bank.source, card_id=bank.card) == refused("not_found")


def test_a_depositor_the_directory_has_not_heard_of(bank: Bank) -> None:
    bank.table.delete((f"P#{bank.ada}", "P"))
    answer = bank.deposit(bank.source, card_id=bank.card)
    assert answer.destination == Party("account", bank.source, bank.ada, "Ada L.")
