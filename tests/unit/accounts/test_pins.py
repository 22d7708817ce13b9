from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from common.contracts.accounts import ApproveTransfer, Destination
from common.contracts.events import Actor
from common.errors import Contended, Refusal
from common.idempotency import IdempotencyKey
from pydantic import ValidationError

from functions.accounts.domain.pins import COMMON_PINS, is_weak
from functions.accounts.models.pins import ConfirmPin, SetPin
from tests.support.memory_table import Call
from tests.unit.accounts.world import ADA, BOB, NOBODYS_ACCOUNT, SECRET, Crash, World, crash, once, refused

ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
PIN, WRONG, NEW = "135790", "246801", "908070"
KEY = IdempotencyKey("scope", ("fingerprint",))


class PinWorld(World):
    """Ada and her account, which has a PIN."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.open(ADA)
        self.pins.set(self.account, ADA, PIN, None, ACTOR)
        self.table.changes.clear()
        self.table.calls.clear()

    def check(self, pin: str | None) -> str:
        return outcome(lambda: self.pins.check(self.account, pin, ACTOR))

    def set(self, pin: str, current: str | None = None) -> str:
        return outcome(lambda: self.pins.set(self.account, ADA, pin, current, ACTOR))

    def lock(self) -> None:
        for _ in range(5):
            assert self.check(WRONG) == "invalid_pin"

    def lock_now(self) -> None:
        """Lock the PIN, however often it was tried before."""
        while self.check(WRONG) != "pin_locked":
            pass

    def reset(self, pin: str = NEW, code: str = "424242", key: IdempotencyKey | None = None) -> bool:
        return self.pins.reset(self.account, ADA, code, pin, key, ACTOR)

    def ask_reset(self, key: IdempotencyKey | None = None) -> bool:
        return self.pins.request_reset(self.account, ADA, key, ACTOR)

    @property
    def tries(self) -> int:
        item = self.item(f"A#{self.account}", "P")
        assert item is not None
        return int(item["tries"])


def outcome(act: Callable[[], object]) -> str:
    """The code of the refusal, "" if there is none."""
    try:
        act()
    except Refusal as problem:
        return problem.code
    except Contended:
        return "unavailable"
    return ""


@pytest.fixture
def world() -> PinWorld:
    return PinWorld()


def busy(world: PinWorld) -> Callable[[Call], None]:
    """A posting before every write of a PIN."""

    def hook(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            world.put_head(world.account, version=world.head(world.account)["version"] + 1)
            world.table.hook = hook

    return hook


# --- checking ---------------------------------------------------------------------------------------------------------


def test_only_the_right_pin_passes(world: PinWorld) -> None:
    assert [world.check(pin) for pin in (PIN, None, WRONG, PIN)] == ["", "pin_required", "invalid_pin", ""]


def test_an_account_without_a_pin_needs_none(world: PinWorld) -> None:
    plain = world.open(ADA)
    for account in (plain, NOBODYS_ACCOUNT):
        world.pins.check(account, None, ACTOR)
        world.pins.check(account, WRONG, ACTOR)


def test_five_wrong_tries_in_a_row_lock_it(world: PinWorld) -> None:
    assert [world.check(WRONG) for _ in range(6)] == ["invalid_pin"] * 5 + ["pin_locked"]
    assert (world.check(PIN), world.check(None)) == ("pin_locked", "pin_required")
    assert world.set(NEW, PIN) == "pin_locked"
    assert world.tries == 5


def test_a_success_resets_the_count(world: PinWorld) -> None:
    for _ in range(3):
        assert [world.check(WRONG) for _ in range(4)] == ["invalid_pin"] * 4
        assert world.check(PIN) == ""
        assert world.tries == 0


def test_a_missing_pin_does_not_count_as_a_try(world: PinWorld) -> None:
    assert {world.check(None) for _ in range(9)} == {"pin_required"}
    assert world.tries == 0


def test_each_wrong_try_and_the_lock_are_published(world: PinWorld) -> None:
    world.check(PIN)
    world.lock()
    world.check(PIN)
    events = world.events()
    assert [event["type"] for event in events] == ["pin.failed"] * 5 + ["pin.locked"]
    assert [event["sequence"] for event in events] == [2, 3, 4, 5, 6, 7]
    assert {(event["subject"], event["actor"]["user_id"], event["actor"]["ip"]) for event in events} == {
        (world.account, ADA, "203.0.113.7")
    }
    assert [event["data"]["tries"] for event in events] == [1, 2, 3, 4, 5, 5]
    assert events[5]["data"]["owner_id"] == ADA


def test_concurrent_guesses_get_no_more_answers_than_guesses_in_a_row(world: PinWorld) -> None:
    guesses = [f"{number:06}" for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(world.check, guesses))
    assert answers == {"invalid_pin": 5, "pin_locked": 25}
    assert len([event for event in world.events() if event["type"] == "pin.locked"]) == 1


def test_the_right_pin_among_concurrent_guesses_is_locked_out_too(world: PinWorld) -> None:
    # All guesses and the right PIN are compared before the first of them is written.
    once(world.table, "update", "before", world.lock)
    assert world.check(PIN) == "pin_locked"
    assert world.tries == 5


def test_concurrent_right_pins_all_pass(world: PinWorld) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: world.check(PIN), range(16))) == {""}


def test_a_pin_that_is_changed_meanwhile_is_checked_against_the_new_one(world: PinWorld) -> None:
    once(world.table, "update", "before", partial(world.set, NEW, PIN))
    assert world.check(PIN) == "invalid_pin"
    once(world.table, "transact", "before", partial(world.set, PIN, NEW))
    assert world.check(PIN) == ""


def test_a_wrong_try_on_a_busy_account_is_counted(world: PinWorld) -> None:
    once(world.table, "transact", "before", lambda: world.put_head(world.account, version=1))
    assert world.check(WRONG) == "invalid_pin"
    assert world.tries == 1


def test_a_wrong_try_that_can_not_be_counted_is_not_answered(world: PinWorld) -> None:
    world.table.hook = busy(world)
    assert world.check(WRONG) == "unavailable"
    assert [world.set(NEW, PIN), world.set(NEW, WRONG)] == ["unavailable"] * 2
    world.table.hook = None
    assert world.tries == 0
    assert world.events() == []


def test_a_pin_is_compared_once_however_busy_the_account(world: PinWorld) -> None:
    compared: list[str] = []
    genuine = world.pins._digests

    class Counting:
        def digest(self, account_id: str, pin: str) -> str:
            compared.append("digest")
            return genuine.digest(account_id, pin)

        def matches(self, account_id: str, pin: str, digested: str) -> bool:
            compared.append("matches")
            return genuine.matches(account_id, pin, digested)

    world.pins._digests = Counting()
    world.table.hook = busy(world)
    world.check(WRONG)
    world.set(NEW, PIN)
    assert compared == ["matches", "matches", "digest"]


def test_a_closed_account_needs_no_pin(world: PinWorld) -> None:
    world.set_status(world.account, "closed")
    assert world.check(WRONG) == ""
    assert world.tries == 0


# --- setting ----------------------------------------------------------------------------------------------------------


def test_setting_a_pin_is_shown_and_published(world: PinWorld) -> None:
    account = world.open(ADA)
    assert not world.accounts.get(account, ADA, is_admin=False).account.pin_set
    world.table.changes.clear()
    world.pins.set(account, ADA, NEW, None, ACTOR)
    assert world.accounts.get(account, ADA, is_admin=False).account.pin_set
    (event,) = world.events()
    assert (event["type"], event["sequence"], event["data"]["changed"]) == ("account.updated", 1, ["pin"])


def test_changing_a_pin_needs_the_current_one(world: PinWorld) -> None:
    assert [world.set(NEW), world.set(NEW, WRONG), world.tries] == ["pin_required", "invalid_pin", 1]
    assert world.set(NEW, PIN) == ""
    assert world.tries == 0
    assert [world.check(PIN), world.check(NEW)] == ["invalid_pin", ""]


def test_guessing_the_current_pin_locks_it(world: PinWorld) -> None:
    assert [world.set(NEW, WRONG) for _ in range(6)] == ["invalid_pin"] * 5 + ["pin_locked"]
    assert world.check(PIN) == "pin_locked"


def test_a_pin_that_is_locked_meanwhile_is_not_changed(world: PinWorld) -> None:
    once(world.table, "transact", "before", world.lock)
    assert world.set(NEW, PIN) == "pin_locked"
    world.ask_reset()
    world.reset(PIN)
    assert world.check(PIN) == ""


def test_of_two_concurrent_first_pins_one_is_set(world: PinWorld) -> None:
    account = world.open(ADA)
    once(world.table, "transact", "before", partial(world.pins.set, account, ADA, NEW, None, ACTOR))
    assert outcome(partial(world.pins.set, account, ADA, WRONG, None, ACTOR)) == "pin_required"
    world.pins.check(account, NEW, ACTOR)


def test_only_the_owner_of_an_open_account_sets_or_resets_a_pin(world: PinWorld) -> None:
    for use in (
        lambda account, owner: world.pins.set(account, owner, NEW, PIN, ACTOR),
        lambda account, owner: world.pins.request_reset(account, owner, None, ACTOR),
        lambda account, owner: world.pins.reset(account, owner, "424242", NEW, None, ACTOR),
    ):
        assert outcome(partial(use, world.account, BOB)) == "not_found"
        assert outcome(partial(use, NOBODYS_ACCOUNT, ADA)) == "not_found"
    assert world.codes == {}
    world.set_status(world.account, "closed")
    assert [world.set(NEW, PIN), outcome(world.ask_reset), outcome(world.reset)] == ["invalid_state"] * 3


def test_neither_items_nor_events_hold_a_pin(world: PinWorld) -> None:
    world.set(NEW, PIN)
    world.check(WRONG)
    world.check("")
    written = repr(world.table.items()) + repr(world.table.changes)
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


# --- weak PINs --------------------------------------------------------------------------------------------------------

WEAK = ["000000", "999999", "012345", "456789", "987654", "890123", "210987", "696969", "159753", "010203"]
STRONG = ["135790", "908070", "012346", "112234", "000001", "246801", "135791", "345679"]


@pytest.mark.parametrize("pin", WEAK)
def test_a_weak_pin_is_refused(world: PinWorld, pin: str) -> None:
    account = world.open(ADA)
    refused("weak_pin", lambda: world.pins.set(account, ADA, pin, None, ACTOR), world)
    assert world.set(pin, PIN) == "weak_pin"
    world.ask_reset()
    assert outcome(lambda: world.reset(pin)) == "weak_pin"
    assert world.check(PIN) == ""
    # The code was not used up.
    assert not world.reset(NEW)


@pytest.mark.parametrize("pin", STRONG)
def test_other_pins_are_accepted(pin: str) -> None:
    assert not is_weak(pin)


def test_the_twenty_commonest_pins_are_weak() -> None:
    assert len(COMMON_PINS) == 20
    assert all(map(is_weak, COMMON_PINS))
    assert sum(is_weak(f"{pin:06}") for pin in range(10**6)) == 20 + 30 - 5


def test_a_weak_pin_does_not_help_to_guess_the_current_one(world: PinWorld) -> None:
    assert [world.set("000000", WRONG), world.tries] == ["invalid_pin", 1]
    # The right PIN, compared before the others locked it.
    once(world.table, "update", "before", world.lock_now)
    assert world.set("000000", PIN) == "pin_locked"
    refused("not_found", lambda: world.pins.set(world.account, BOB, "000000", PIN, ACTOR), world)


# --- tries of a day ---------------------------------------------------------------------------------------------------


def guesses(world: PinWorld, number: int) -> list[str]:
    """Wrong tries, with a right one after every fourth."""
    return [
        code for each in range(number) for code in (world.check(WRONG), *([world.check(PIN)] if each % 4 == 3 else []))
    ]


def test_there_are_twenty_wrong_tries_a_day_whatever_right_ones_come_between(world: PinWorld) -> None:
    found = guesses(world, 19)
    assert Counter(found) == {"invalid_pin": 19, "": 4}
    assert [world.check(PIN), world.check(WRONG)] == ["", "invalid_pin"]
    assert [world.check(PIN), world.check(WRONG), world.set(NEW, PIN)] == ["pin_locked"] * 3
    types = [event["type"] for event in world.events()]
    assert types == ["pin.failed"] * 20 + ["pin.locked"]


def test_the_tries_of_a_day_are_over_with_the_utc_day(world: PinWorld) -> None:
    guesses(world, 20)
    assert world.check(PIN) == "pin_locked"
    world.clock.advance(hours=14, minutes=29, seconds=59)
    assert world.now()[:19] == "2026-11-21T23:59:59"
    assert world.check(PIN) == "pin_locked"
    world.clock.advance(seconds=1)
    assert world.check(PIN) == ""
    assert Counter(guesses(world, 20)) == {"invalid_pin": 20, "": 4, "pin_locked": 1}


def test_another_pin_keeps_the_tries_of_the_day_and_a_mailed_code_ends_them(world: PinWorld) -> None:
    guesses(world, 12)
    assert [world.set(NEW, PIN), world.set(PIN, NEW)] == ["", ""]
    assert Counter(guesses(world, 8)) == {"invalid_pin": 8, "": 1, "pin_locked": 1}
    world.ask_reset()
    world.reset(PIN)
    assert [world.check(WRONG), world.check(PIN)] == ["invalid_pin", ""]


def test_concurrent_guesses_between_successes_get_no_more_than_twenty_answers(world: PinWorld) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = Counter(pool.map(world.check, [PIN, WRONG] * 60))
    assert found["invalid_pin"] <= 20
    assert len([event for event in world.events() if event["type"] == "pin.failed"]) == found["invalid_pin"]


def test_a_try_counts_even_if_a_success_hid_another_try_since(world: PinWorld) -> None:
    def hide() -> None:
        assert [world.check(WRONG), world.check(PIN)] == ["invalid_pin", ""]

    once(world.table, "transact", "before", hide)
    assert world.check(WRONG) == "invalid_pin"
    item = world.item(f"A#{world.account}", "P")
    assert item is not None
    assert (item["tries"], item["day_tries"], item["day"]) == (1, 2, "2026-11-21")


def test_a_success_compared_before_the_last_try_of_the_day_is_locked_out(world: PinWorld) -> None:
    guesses(world, 19)
    once(world.table, "update", "before", lambda: world.check(WRONG))
    assert world.check(PIN) == "pin_locked"


# --- rotation ---------------------------------------------------------------------------------------------------------


def test_a_pin_stays_valid_when_the_key_is_rotated(world: PinWorld) -> None:
    world.keys["2"] = b"a new key"
    assert [world.check(WRONG), world.check(PIN), world.set(NEW, PIN), world.check(NEW)] == ["invalid_pin", "", "", ""]
    item = world.item(f"A#{world.account}", "P")
    assert item is not None
    assert item["digest"].startswith("2:")


# --- resetting --------------------------------------------------------------------------------------------------------


def test_a_mailed_code_sets_and_unlocks_a_pin(world: PinWorld) -> None:
    world.lock()
    assert not world.ask_reset()
    assert world.codes == {(ADA, world.account): "424242"}
    assert outcome(partial(world.reset, code="111111")) == "invalid_code"
    assert world.check(NEW) == "pin_locked"
    assert not world.reset()
    assert world.tries == 0
    assert [world.check(PIN), world.check(NEW)] == ["invalid_pin", ""]
    assert outcome(world.reset) == "invalid_code"


def test_a_second_code_too_soon_is_rate_limited(world: PinWorld) -> None:
    world.ask_reset()
    with pytest.raises(Refusal) as refusal:
        world.ask_reset()
    assert (refusal.value.code, refusal.value.retry_after) == ("rate_limited", 42)


def test_an_account_without_a_pin_can_not_be_reset(world: PinWorld) -> None:
    account = world.open(ADA)
    assert outcome(lambda: world.pins.request_reset(account, ADA, None, ACTOR)) == "invalid_state"
    assert outcome(lambda: world.pins.reset(account, ADA, "424242", NEW, None, ACTOR)) == "invalid_state"


def test_a_reset_on_a_busy_account(world: PinWorld) -> None:
    world.ask_reset()
    once(world.table, "transact", "before", partial(world.check, WRONG))
    world.reset()
    assert world.check(NEW) == ""
    world.ask_reset()
    world.table.hook = busy(world)
    assert outcome(world.reset) == "unavailable"


def test_a_key_mails_one_code(world: PinWorld) -> None:
    assert [world.ask_reset(KEY), world.ask_reset(KEY), world.ask_reset(KEY)] == [False, True, True]
    refused("idempotency_key_reused", lambda: world.ask_reset(IdempotencyKey("scope", ("another",))))
    assert world.codes == {(ADA, world.account): "424242"}


def test_two_concurrent_requests_with_one_key_both_succeed(world: PinWorld) -> None:
    def concurrent() -> None:
        world.codes.clear()
        world.ask_reset(KEY)

    once(world.table, "put", "before", concurrent)
    assert not world.ask_reset(KEY)


def test_a_key_resets_once_even_if_the_reply_was_lost(world: PinWorld) -> None:
    world.ask_reset()
    once(world.table, "transact", "after", crash)
    with pytest.raises(Crash):
        world.reset(key=KEY)
    assert world.reset(key=KEY)
    assert world.check(NEW) == ""
    refused("idempotency_key_reused", lambda: world.reset(key=IdempotencyKey("scope", ("another",))))


# --- transfers from an account with a PIN -----------------------------------------------------------------------------


class PaymentWorld(PinWorld):
    """Ada's account with a PIN, and Bob, who can be paid."""

    def __init__(self) -> None:
        super().__init__()
        self.payee = self.register("bob.hopper@example.org")
        self.destination = self.open(self.payee)
        self.ada = self.register("ada.lovelace@example.org")
        self.put_head(self.account, owner_id=self.ada)
        self.table.put({"pk": f"U#{self.ada}", "sk": "D#USD", "account_id": self.account})
        self.table.calls.clear()

    def send(self, pin: str | None = None, *, source: str | None = None, **to: str) -> str:
        destination = Destination(**to) if to else Destination(email="bob.hopper@example.org")
        request = ApproveTransfer(self.ada, source, destination, 5, "USD", pin, ACTOR)
        return outcome(lambda: self.approvals.transfer(request))


@pytest.fixture
def payment() -> PaymentWorld:
    return PaymentWorld()


@pytest.mark.parametrize("given", [True, False])
def test_a_debit_needs_the_pin_of_its_source(payment: PaymentWorld, given: bool) -> None:
    source = payment.account if given else None
    codes = [payment.send(pin, source=source) for pin in (None, WRONG, PIN)]
    assert codes == ["pin_required", "invalid_pin", ""]
    assert payment.send(PIN, source=source) == ""
    payment.lock()
    assert payment.send(PIN, source=source) == "pin_locked"
    assert {event["actor"]["user_id"] for event in payment.events()[-2:]} == {ADA}


def test_the_pin_is_checked_after_the_source_and_before_the_payee(payment: PaymentWorld) -> None:
    assert payment.send(WRONG, source=payment.destination) == "not_found"
    assert payment.tries == 0
    for to in ({"email": "nobody@example.org"}, {"account_id": payment.account}, {"account_id": NOBODYS_ACCOUNT}):
        assert payment.send(None, **to) == "pin_required"
    assert payment.send(WRONG, email="nobody@example.org") == "invalid_pin"
    assert payment.send(PIN, email="nobody@example.org") == "payee_not_found"


def test_the_pin_of_the_destination_does_not_matter(payment: PaymentWorld) -> None:
    payment.pins.set(payment.destination, payment.payee, NEW, None, ACTOR)
    assert payment.send(PIN, account_id=payment.destination) == ""


def test_the_pin_of_a_frozen_source_is_checked(payment: PaymentWorld) -> None:
    payment.set_status(payment.account, "frozen")
    assert [payment.send(WRONG), payment.send(PIN)] == ["invalid_pin", ""]


def test_a_default_that_is_closed_meanwhile_is_not_found(payment: PaymentWorld) -> None:
    once(payment.table, "batch_get", "after", partial(payment.set_status, payment.account, "closed"))
    assert payment.send(PIN) == "not_found"


def test_a_wrong_try_that_can_not_be_counted_is_a_fault(payment: PaymentWorld) -> None:
    payment.table.hook = busy(payment)
    assert payment.send(WRONG) == "unavailable"


def test_without_a_pin_there_are_at_most_two_reads(payment: PaymentWorld) -> None:
    payment.put_head(payment.account, pin_set=False)
    payment.table.calls.clear()
    for source in (payment.account, None):
        for to in (
            {"email": "bob.hopper@example.org"},
            {"account_id": payment.destination},
            {"user_id": payment.payee},
        ):
            assert payment.send(source=source, **to) == ""
            assert len(payment.table.calls) <= 2
            payment.table.calls.clear()
