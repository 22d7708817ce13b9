from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from common.errors import Problem
from common.events import Actor
from common.idempotency import Idempotency
from common.tasks import Authorization, AuthorizeTransfer, Destination
from pydantic import ValidationError

from functions.accounts.models.pins import ConfirmPin, SetPin
from tests.support.memory_table import Call
from tests.unit.accounts.world import SECRET, Lost, World, lose, once

ADA = "usr_01K0000000000000000000000A"
BOB = "usr_01K0000000000000000000000B"
NOBODYS = "acc_01K0000000000000000000000A"
ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
PIN, WRONG, NEW = "135790", "246801", "908070"
KEY = Idempotency("scope", "fingerprint")


class Safe(World):
    """Ada and her account, which has a PIN."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.open(ADA)
        self.pins.set(self.account, ADA, PIN, None, ACTOR)
        self.table.changes.clear()
        self.table.calls.clear()

    def check(self, pin: str | None) -> str:
        """The code of the refusal, empty for none."""
        return outcome(lambda: self.pins.check(self.account, pin, ACTOR))

    def set(self, pin: str, current: str | None = None) -> str:
        return outcome(lambda: self.pins.set(self.account, ADA, pin, current, ACTOR))

    def lock(self) -> None:
        for _ in range(5):
            assert self.check(WRONG) == "invalid_pin"

    def reset(self, pin: str = NEW, code: str = "424242", key: Idempotency | None = None) -> bool:
        return self.pins.reset(self.account, ADA, code, pin, key, ACTOR)

    def ask_reset(self, key: Idempotency | None = None) -> bool:
        return self.pins.request_reset(self.account, ADA, key, ACTOR)

    @property
    def tries(self) -> int:
        item = self.item(f"A#{self.account}", "P")
        assert item is not None
        return int(item["tries"])


def outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except Problem as problem:
        return problem.code
    return ""


@pytest.fixture
def safe() -> Safe:
    return Safe()


def busy(safe: Safe) -> Callable[[Call], None]:
    """Postings that come before every write of a PIN."""

    def hook(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            safe.table.hook = None
            safe.put_head(safe.account, version=safe.head(safe.account)["version"] + 1)
            safe.table.hook = hook

    return hook


# --- checking ---------------------------------------------------------------------------------------------------------


def test_the_right_pin_passes_and_any_other_does_not(safe: Safe) -> None:
    assert [safe.check(pin) for pin in (PIN, None, WRONG, PIN)] == ["", "pin_required", "invalid_pin", ""]


def test_an_account_without_a_pin_needs_none(safe: Safe) -> None:
    plain = safe.open(ADA)
    for account in (plain, NOBODYS):
        safe.pins.check(account, None, ACTOR)
        safe.pins.check(account, WRONG, ACTOR)


def test_five_wrong_tries_in_a_row_lock_it(safe: Safe) -> None:
    assert [safe.check(WRONG) for _ in range(6)] == ["invalid_pin"] * 5 + ["pin_locked"]
    assert (safe.check(PIN), safe.check(None)) == ("pin_locked", "pin_required")
    assert safe.set(NEW, PIN) == "pin_locked"
    assert safe.tries == 5


def test_a_success_resets_the_count(safe: Safe) -> None:
    for _ in range(3):
        assert [safe.check(WRONG) for _ in range(4)] == ["invalid_pin"] * 4
        assert safe.check(PIN) == ""
        assert safe.tries == 0


def test_a_pin_left_out_is_no_try(safe: Safe) -> None:
    assert {safe.check(None) for _ in range(9)} == {"pin_required"}
    assert safe.tries == 0


def test_each_wrong_try_is_told_and_the_lock_too(safe: Safe) -> None:
    safe.check(PIN)
    safe.lock()
    safe.check(PIN)
    events = safe.events()
    assert [event["type"] for event in events] == ["pin.failed"] * 5 + ["pin.locked"]
    assert [event["sequence"] for event in events] == [2, 3, 4, 5, 6, 7]
    assert {(event["subject"], event["actor"]["user_id"], event["actor"]["ip"]) for event in events} == {
        (safe.account, ADA, "203.0.113.7")
    }
    assert [event["data"]["tries"] for event in events] == [1, 2, 3, 4, 5, 5]
    assert events[5]["data"]["owner_id"] == ADA


def test_guesses_at_once_are_answered_no_oftener_than_guesses_in_a_row(safe: Safe) -> None:
    guesses = [f"{number:06}" for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(safe.check, guesses))
    assert answers == {"invalid_pin": 5, "pin_locked": 25}
    assert len([event for event in safe.events() if event["type"] == "pin.locked"]) == 1


def test_the_right_pin_among_guesses_at_once_is_locked_out_with_them(safe: Safe) -> None:
    # Everything is compared, the right one too, before the first of them is written.
    once(safe.table, "before", "update", safe.lock)
    assert safe.check(PIN) == "pin_locked"
    assert safe.tries == 5


def test_right_pins_at_once_are_all_right(safe: Safe) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: safe.check(PIN), range(16))) == {""}


def test_a_pin_that_is_changed_meanwhile_is_the_one_that_counts(safe: Safe) -> None:
    once(safe.table, "before", "update", partial(safe.set, NEW, PIN))
    assert safe.check(PIN) == "invalid_pin"
    once(safe.table, "before", "transact", partial(safe.set, PIN, NEW))
    assert safe.check(PIN) == ""


def test_a_wrong_try_on_a_busy_account_is_counted_all_the_same(safe: Safe) -> None:
    once(safe.table, "before", "transact", lambda: safe.put_head(safe.account, version=1))
    assert safe.check(WRONG) == "invalid_pin"
    assert safe.tries == 1


def test_a_wrong_try_that_cannot_be_counted_is_not_answered(safe: Safe) -> None:
    safe.table.hook = busy(safe)
    assert safe.check(WRONG) == "unavailable"
    assert [safe.set(NEW, PIN), safe.set(NEW, WRONG)] == ["unavailable"] * 2
    safe.table.hook = None
    assert safe.tries == 0
    assert safe.events() == []


def test_a_slow_comparison_is_made_once_however_busy_the_account(safe: Safe) -> None:
    compared: list[str] = []
    genuine = safe.pins._digests

    class Counting:
        def digest(self, account_id: str, pin: str) -> str:
            compared.append("digest")
            return genuine.digest(account_id, pin)

        def matches(self, account_id: str, pin: str, digested: str) -> bool:
            compared.append("matches")
            return genuine.matches(account_id, pin, digested)

    safe.pins._digests = Counting()
    safe.table.hook = busy(safe)
    safe.check(WRONG)
    safe.set(NEW, PIN)
    assert compared == ["matches", "matches", "digest"]


def test_a_closed_account_has_nothing_to_guard(safe: Safe) -> None:
    safe.set_status(safe.account, "closed")
    assert safe.check(WRONG) == ""
    assert safe.tries == 0


# --- setting ----------------------------------------------------------------------------------------------------------


def test_setting_it_is_seen_and_told(safe: Safe) -> None:
    account = safe.open(ADA)
    assert not safe.accounts.get(account, ADA, is_admin=False).pin_set
    safe.table.changes.clear()
    safe.pins.set(account, ADA, NEW, None, ACTOR)
    assert safe.accounts.get(account, ADA, is_admin=False).pin_set
    (event,) = safe.events()
    assert (event["type"], event["sequence"], event["data"]["changed"]) == ("account.updated", 1, ["pin"])


def test_changing_it_takes_the_present_one(safe: Safe) -> None:
    assert [safe.set(NEW), safe.set(NEW, WRONG), safe.tries] == ["pin_required", "invalid_pin", 1]
    assert safe.set(NEW, PIN) == ""
    assert safe.tries == 0
    assert [safe.check(PIN), safe.check(NEW)] == ["invalid_pin", ""]


def test_guessing_the_present_one_locks_it_too(safe: Safe) -> None:
    assert [safe.set(NEW, WRONG) for _ in range(6)] == ["invalid_pin"] * 5 + ["pin_locked"]
    assert safe.check(PIN) == "pin_locked"


def test_a_change_that_the_lock_overtakes_does_not_take_place(safe: Safe) -> None:
    once(safe.table, "before", "transact", safe.lock)
    assert safe.set(NEW, PIN) == "pin_locked"
    safe.ask_reset()
    safe.reset(PIN)
    assert safe.check(PIN) == ""


def test_two_first_pins_at_once_are_one(safe: Safe) -> None:
    account = safe.open(ADA)
    once(safe.table, "before", "transact", partial(safe.pins.set, account, ADA, NEW, None, ACTOR))
    assert outcome(partial(safe.pins.set, account, ADA, WRONG, None, ACTOR)) == "pin_required"
    safe.pins.check(account, NEW, ACTOR)


def test_only_the_owner_of_an_open_account_sets_or_resets(safe: Safe) -> None:
    for use in (
        lambda account, owner: safe.pins.set(account, owner, NEW, PIN, ACTOR),
        lambda account, owner: safe.pins.request_reset(account, owner, None, ACTOR),
        lambda account, owner: safe.pins.reset(account, owner, "424242", NEW, None, ACTOR),
    ):
        assert outcome(partial(use, safe.account, BOB)) == "not_found"
        assert outcome(partial(use, NOBODYS, ADA)) == "not_found"
    assert safe.codes == {}
    safe.set_status(safe.account, "closed")
    assert [safe.set(NEW, PIN), outcome(safe.ask_reset), outcome(safe.reset)] == ["invalid_state"] * 3


def test_nothing_that_is_kept_or_told_says_the_pin(safe: Safe) -> None:
    safe.set(NEW, PIN)
    safe.check(WRONG)
    safe.check("")
    written = repr(safe.table.items()) + repr(safe.table.changes)
    assert not [pin for pin in (PIN, WRONG, NEW) if pin in written]
    assert SECRET.decode() not in written
    assert PIN not in repr(SetPin(pin=PIN, current_pin=PIN)) + repr(ConfirmPin(code=PIN, new_pin=PIN))


@pytest.mark.parametrize(
    "pin", ["12345", "1234567", "12345a", "\uff11\uff12\uff13\uff14\uff15\uff16", 123456, None, "12345\n"]
)
def test_a_pin_is_six_digits(pin: Any) -> None:
    with pytest.raises(ValidationError):
        SetPin.model_validate({"pin": pin})
    with pytest.raises(ValidationError):
        ConfirmPin.model_validate({"code": "123456", "new_pin": pin})


# --- resetting --------------------------------------------------------------------------------------------------------


def test_a_code_by_mail_sets_and_unlocks_it(safe: Safe) -> None:
    safe.lock()
    assert not safe.ask_reset()
    assert safe.codes == {(ADA, safe.account): "424242"}
    assert outcome(partial(safe.reset, code="111111")) == "invalid_code"
    assert safe.check(NEW) == "pin_locked"
    assert not safe.reset()
    assert safe.tries == 0
    assert [safe.check(PIN), safe.check(NEW)] == ["invalid_pin", ""]
    assert outcome(safe.reset) == "invalid_code"


def test_asking_too_often_says_when_to_come_back(safe: Safe) -> None:
    safe.ask_reset()
    with pytest.raises(Problem) as refused:
        safe.ask_reset()
    assert (refused.value.code, refused.value.retry_after) == ("rate_limited", 42)


def test_what_has_no_pin_is_not_reset(safe: Safe) -> None:
    account = safe.open(ADA)
    assert outcome(lambda: safe.pins.request_reset(account, ADA, None, ACTOR)) == "invalid_state"
    assert outcome(lambda: safe.pins.reset(account, ADA, "424242", NEW, None, ACTOR)) == "invalid_state"


def test_a_reset_on_a_busy_account(safe: Safe) -> None:
    safe.ask_reset()
    once(safe.table, "before", "transact", partial(safe.check, WRONG))
    safe.reset()
    assert safe.check(NEW) == ""
    safe.ask_reset()
    safe.table.hook = busy(safe)
    assert outcome(safe.reset) == "unavailable"


def test_a_key_has_a_code_mailed_once(safe: Safe) -> None:
    assert [safe.ask_reset(KEY), safe.ask_reset(KEY), safe.ask_reset(KEY)] == [False, True, True]
    with pytest.raises(Problem, match="idempotency_key_reused"):
        safe.ask_reset(Idempotency("scope", "another"))
    assert safe.codes == {(ADA, safe.account): "424242"}


def test_two_at_once_with_one_key_are_both_answered(safe: Safe) -> None:
    once(safe.table, "before", "put", lambda: (safe.codes.clear(), safe.ask_reset(KEY)))
    assert not safe.ask_reset(KEY)


def test_a_key_resets_once_even_where_the_reply_was_lost(safe: Safe) -> None:
    safe.ask_reset()
    once(safe.table, "after", "transact", lose)
    with pytest.raises(Lost):
        safe.reset(key=KEY)
    assert safe.reset(key=KEY)
    assert safe.check(NEW) == ""
    with pytest.raises(Problem, match="idempotency_key_reused"):
        safe.reset(key=Idempotency("scope", "another"))


# --- what is sent from an account with a PIN --------------------------------------------------------------------------


class Shop(Safe):
    """Ada's account with a PIN, and Bob, who can be paid."""

    def __init__(self) -> None:
        super().__init__()
        self.payee = self.register("bob.hopper@example.org")
        self.shop = self.open(self.payee)
        self.ada = self.register("ada.lovelace@example.org")
        self.put_head(self.account, owner_id=self.ada)
        self.table.put({"pk": f"U#{self.ada}", "sk": "D#USD", "account_id": self.account})
        self.table.calls.clear()

    def send(self, pin: str | None = None, *, source: str | None = None, **to: str) -> Authorization:
        destination = Destination(**to) if to else Destination(email="bob.hopper@example.org")
        return self.authorizer.transfer(AuthorizeTransfer(self.ada, source, destination, 5, "USD", pin, ACTOR))


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("given", [True, False])
def test_a_debit_takes_the_pin_of_its_source(shop: Shop, given: bool) -> None:
    source = shop.account if given else None
    codes = [shop.send(pin, source=source).code for pin in (None, WRONG, PIN)]
    assert codes == ["pin_required", "invalid_pin", ""]
    assert shop.send(PIN, source=source).outcome == "authorized"
    shop.lock()
    assert shop.send(PIN, source=source).code == "pin_locked"
    assert {event["actor"]["user_id"] for event in shop.events()[-2:]} == {ADA}


def test_the_pin_comes_after_the_source_and_before_all_else(shop: Shop) -> None:
    assert shop.send(WRONG, source=shop.shop).code == "not_found"
    assert shop.tries == 0
    for to in ({"email": "nobody@example.org"}, {"account_id": shop.account}, {"account_id": NOBODYS}):
        assert shop.send(None, **to).code == "pin_required"
    assert shop.send(WRONG, email="nobody@example.org").code == "invalid_pin"
    assert shop.send(PIN, email="nobody@example.org").code == "payee_not_found"


def test_a_pin_of_the_destination_is_nobodys_business(shop: Shop) -> None:
    shop.pins.set(shop.shop, shop.payee, NEW, None, ACTOR)
    assert shop.send(PIN, account_id=shop.shop).outcome == "authorized"


def test_a_frozen_source_is_the_postings_business_but_its_pin_is_not(shop: Shop) -> None:
    shop.set_status(shop.account, "frozen")
    assert [shop.send(WRONG).code, shop.send(PIN).code] == ["invalid_pin", ""]


def test_a_default_that_is_closed_meanwhile_pays_nothing(shop: Shop) -> None:
    once(shop.table, "after", "batch_get", partial(shop.set_status, shop.account, "closed"))
    assert shop.send(PIN).code == "not_found"


def test_a_pin_that_cannot_be_counted_is_a_fault_and_no_refusal(shop: Shop) -> None:
    shop.table.hook = busy(shop)
    with pytest.raises(Problem, match="unavailable"):
        shop.send(WRONG)


def test_without_a_pin_two_reads_do(shop: Shop) -> None:
    shop.put_head(shop.account, pin_set=False)
    shop.table.calls.clear()
    for source in (shop.account, None):
        for to in ({"email": "bob.hopper@example.org"}, {"account_id": shop.shop}, {"user_id": shop.payee}):
            assert shop.send(source=source, **to).outcome == "authorized"
            assert len(shop.table.calls) <= 2
            shop.table.calls.clear()
