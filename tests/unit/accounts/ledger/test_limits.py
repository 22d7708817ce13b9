"""Spending limits and low balances: what counts, when periods begin, what is declined, which events are published."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from common.clock import timestamp
from common.contracts.accounts import Post, Release, Reserve, Settle
from common.contracts.events import SYSTEM, Actor
from common.errors import Contended, Refusal
from pydantic import ValidationError

from functions.accounts.domain.limits import day, day_ends, week, week_ends
from functions.accounts.models.limits import LimitsResource, SetLimits
from functions.accounts.service.limits import Limits
from functions.accounts.store.limits import LimitStore
from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, STRANGER, Crash, World, crash, once, published, trf

OWNER = f"usr_{ALICE[4:]}"
ACTOR = Actor(OWNER, "ses_1", "203.0.113.7", "tests")


@pytest.fixture
def world(world: World) -> World:
    world.fund(ALICE, 1000)
    return world


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(limits: Limits) -> LimitsResource:
    return LimitsResource.of(limits.get(ALICE, OWNER))


def pay(world: World, number: int, amount: int, destination: str = BOB) -> str:
    outcome = world.ledger.post(Post(trf(number), ALICE, destination, amount, "USD"))
    return outcome.code or outcome.outcome


def hold(world: World, number: int, amount: int) -> str:
    outcome = world.ledger.reserve(Reserve(trf(number), ALICE, amount, "USD"))
    return outcome.code or outcome.outcome


def spent(world: World) -> tuple[int, int]:
    """Return what was spent in the day and the week, by setting limits that stop nothing."""
    world.set_limits(ALICE, 10**15, 10**15)
    current = shown(world.limits)
    assert current.daily is not None
    assert current.weekly is not None
    return current.daily.spent, current.weekly.spent


def published_rows(table: MemoryTable) -> list[tuple[object, ...]]:
    names = {"limit.exceeded": ("period", "limit", "spent", "amount"), "balance.low": ("available", "threshold")}
    return [
        (event["type"], *(event["data"][name] for name in names[event["type"]]))
        for event in published(table.changes)
        if event["type"] in names
    ]


# --- days and weeks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "the_day", "the_week", "day_over", "week_over"),
    [
        ("2026-11-21T23:59:59.999Z", "2026-11-21", "2026-W47", "2026-11-22", "2026-11-23"),
        ("2026-11-22T00:00:00.000Z", "2026-11-22", "2026-W47", "2026-11-23", "2026-11-23"),
        ("2026-11-23T00:00:00.000Z", "2026-11-23", "2026-W48", "2026-11-24", "2026-11-30"),
        ("2026-12-31T12:00:00.000Z", "2026-12-31", "2026-W53", "2027-01-01", "2027-01-04"),
        ("2027-01-03T23:59:59.999Z", "2027-01-03", "2026-W53", "2027-01-04", "2027-01-04"),
        ("2027-01-04T00:00:00.000Z", "2027-01-04", "2027-W01", "2027-01-05", "2027-01-11"),
        ("2024-12-30T00:00:00.000Z", "2024-12-30", "2025-W01", "2024-12-31", "2025-01-06"),
    ],
)
def test_days_and_weeks(at: str, the_day: str, the_week: str, day_over: str, week_over: str) -> None:
    assert (day(at), week(at)) == (the_day, the_week)
    assert (day_ends(at), week_ends(at)) == (f"{day_over}T00:00:00.000Z", f"{week_over}T00:00:00.000Z")


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        ("2026-11-21T23:59:59.998", "2026-11-21T23:59:59.999", (70, 70)),
        ("2026-11-21T23:59:59.999", "2026-11-22T00:00:00.000", (10, 70)),
        ("2026-11-22T23:59:59.999", "2026-11-23T00:00:00.000", (10, 10)),
        ("2026-12-31T23:59:59.999", "2027-01-01T00:00:00.000", (10, 70)),
        ("2027-01-03T23:59:59.999", "2027-01-04T00:00:00.000", (10, 10)),
        ("2026-11-16T10:00:00.000", "2026-11-23T10:00:00.000", (10, 10)),
        ("2025-11-21T10:00:00.000", "2026-11-21T10:00:00.000", (10, 10)),
    ],
)
def test_counters_restart_with_the_day_and_the_week(
    table: MemoryTable, before: str, after: str, counted: tuple[int, int]
) -> None:
    world = World(table)
    world.clock.at = moment("2025-01-01")
    world.fund(ALICE, 1000)
    world.clock.at = moment(before)
    assert pay(world, 1, 60) == "posted"
    world.clock.at = moment(after)
    assert pay(world, 2, 10) == "posted"
    assert spent(world) == counted
    Snapshot.of(table.items()).check()


def test_the_spent_amounts_shown_restart_with_the_period(world: World) -> None:
    world.set_limits(ALICE, 100, 200)
    pay(world, 1, 60)
    world.clock.at = moment("2026-11-22T00:00:00.000")
    assert shown(world.limits).model_dump() == {
        "currency": "USD",
        "daily": {"limit": 100, "spent": 0, "resets_at": "2026-11-23T00:00:00.000Z"},
        "weekly": {"limit": 200, "spent": 60, "resets_at": "2026-11-23T00:00:00.000Z"},
    }
    world.clock.at = moment("2026-11-23T00:00:00.000")
    assert pay(world, 2, 100) == "posted"


def test_a_line_with_a_later_time_counts_on_the_day_of_that_time(world: World) -> None:
    """The last line of the payee is of tomorrow, by the clock of another machine."""
    world.set_limits(ALICE, 100)
    assert pay(world, 1, 60) == "posted"
    world.clock.at = moment("2026-11-22T00:00:00.001")
    world.fund(BOB, 1, 9001)
    world.clock.at = moment("2026-11-21T23:59:59.999")
    assert pay(world, 2, 70, CAROL) == "limit_exceeded"
    assert pay(world, 3, 70, BOB) == "posted"
    assert world.head(ALICE)["day"] == "2026-11-22"
    assert pay(world, 4, 31, CAROL) == "limit_exceeded"
    daily = shown(world.limits).daily
    assert daily is not None
    assert (daily.spent, daily.resets_at) == (70, "2026-11-23T00:00:00.000Z")


# --- declining ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spend", [pay, hold])
@pytest.mark.parametrize(("daily", "weekly"), [(100, None), (None, 100), (100, 500), (500, 100)])
def test_a_limit_can_be_reached_but_not_exceeded(
    world: World, table: MemoryTable, spend: Callable[[World, int, int], str], daily: int | None, weekly: int | None
) -> None:
    world.set_limits(ALICE, daily, weekly)
    assert spend(world, 1, 60) in ("posted", "held")
    before = world.head(ALICE)
    assert spend(world, 2, 41) == "limit_exceeded"
    after = world.head(ALICE)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"day_told", "week_told", "changes"}
    assert spend(world, 3, 40) in ("posted", "held")
    world.clock.advance(days=7)
    assert spend(world, 2, 41) == "limit_exceeded", "a decline is final"
    assert spend(world, 4, 41) in ("posted", "held")


def test_limits_are_checked_last(world: World, table: MemoryTable) -> None:
    world.set_limits(ALICE, 100)
    assert pay(world, 1, 1001) == "insufficient_funds"
    world.set_status(ALICE, "frozen")
    assert pay(world, 2, 101) == "account_frozen"
    assert published_rows(table) == []


def test_credits_do_not_count(world: World) -> None:
    world.set_limits(ALICE, 100, 100)
    pay(world, 1, 100)
    world.fund(ALICE, 500, 9001)
    assert "day" not in world.head(BOB)
    assert pay(world, 2, 1) == "limit_exceeded"


def test_settling_is_never_declined_by_a_limit(world: World) -> None:
    assert hold(world, 1, 100) == "held"
    world.set_limits(ALICE, 10, 10)
    world.clock.advance(days=7)
    assert world.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"
    assert spent(world) == (0, 0)


@pytest.mark.parametrize(
    ("days", "counted"), [(0, (30, 30)), (1, (0, 30)), (2, (0, 0))], ids=["that day", "that week", "later"]
)
@pytest.mark.parametrize("resolve", ["release", "settle", "lapse"])
def test_what_a_hold_gives_back_no_longer_counts(
    world: World, days: int, counted: tuple[int, int], resolve: str
) -> None:
    """Saturday, Sunday, Monday."""
    lapses_at = timestamp(world.clock() + timedelta(seconds=1)) if resolve == "lapse" else ""
    pay(world, 1, 30)
    world.ledger.reserve(Reserve(trf(2), ALICE, 100, "USD", "", lapses_at))
    assert spent(world) == (130, 130)
    world.clock.advance(days=days, seconds=1)
    if resolve == "settle":
        world.ledger.settle(Settle(trf(2), BOB, 60))
        counted = (counted[0] and counted[0] + 60, counted[1] and counted[1] + 60)
    else:
        assert world.ledger.release(Release(trf(2))).outcome == ("lapsed" if resolve == "lapse" else "released")
    assert spent(world) == counted


def test_a_hold_of_another_day_gives_nothing_back_to_this_one(world: World) -> None:
    hold(world, 1, 100)
    world.clock.advance(days=1)
    pay(world, 2, 70)
    world.ledger.release(Release(trf(1)))
    assert spent(world) == (70, 70)


def test_a_limit_lowered_in_between_is_kept(world: World, table: MemoryTable) -> None:
    once(table, "transact", "before", lambda: world.set_limits(ALICE, 100))
    assert pay(world, 1, 101) == "limit_exceeded"
    once(table, "transact", "before", lambda: world.set_limits(ALICE, None, 50))
    assert hold(world, 2, 51) == "limit_exceeded"


def test_two_payments_at_once_do_not_exceed_a_limit(world: World, table: MemoryTable) -> None:
    world.set_limits(ALICE, 100)
    once(table, "transact", "before", lambda: pay(world, 2, 60))
    assert pay(world, 1, 60) == "limit_exceeded"
    assert spent(world) == (60, 60)


# --- events -----------------------------------------------------------------------------------------------------


def test_the_first_decline_of_a_period_is_published(world: World, table: MemoryTable) -> None:
    world.set_limits(ALICE, 100, 150)
    pay(world, 1, 60)
    assert [pay(world, number, 50) for number in (2, 3)] == ["limit_exceeded"] * 2
    assert hold(world, 4, 50) == "limit_exceeded"
    daily = ("limit.exceeded", "daily", 100, 60, 50)
    assert published_rows(table) == [daily]
    assert pay(world, 5, 99) == "limit_exceeded"
    weekly = ("limit.exceeded", "weekly", 150, 60, 99)
    assert published_rows(table) == [daily, weekly]
    world.clock.advance(days=1)
    assert pay(world, 6, 101) == "limit_exceeded"
    assert published_rows(table) == [daily, weekly, ("limit.exceeded", "daily", 100, 0, 101)]


def test_exceeding_both_limits_at_once_publishes_two_events(world: World, table: MemoryTable) -> None:
    world.set_limits(ALICE, 100, 150)
    pay(world, 1, 151)
    events = [event for event in published(table.changes) if event["type"] == "limit.exceeded"]
    assert [(event["data"]["period"], event["sequence"]) for event in events] == [("daily", 3), ("weekly", 4)]
    assert events[0]["data"] == {
        "account_id": ALICE,
        "owner_id": OWNER,
        "currency": "USD",
        "period": "daily",
        "limit": 100,
        "spent": 0,
        "amount": 151,
    }
    assert (events[0]["subject"], events[0]["source"], events[0]["time"]) == (
        ALICE,
        "/remit/accounts",
        timestamp(world.clock()),
    )


def test_a_changed_limit_is_published_again(world: World, table: MemoryTable) -> None:
    for limit in (100, 100, 120, 100):
        world.set_limits(ALICE, limit)
        pay(world, limit + len(published_rows(table)), 150)
    assert [each[2] for each in published_rows(table)] == [100, 120, 100]


def test_two_first_declines_at_once_publish_once(world: World, table: MemoryTable) -> None:
    world.set_limits(ALICE, 100)
    once(table, "transact", "before", lambda: pay(world, 2, 150))
    assert pay(world, 1, 150) == "limit_exceeded"
    assert len(published_rows(table)) == 1


@pytest.mark.parametrize("spend", [pay, hold])
def test_a_decline_whose_reply_was_lost_is_published_once(
    world: World, table: MemoryTable, spend: Callable[[World, int, int], str]
) -> None:
    world.set_limits(ALICE, 100)

    once(table, "transact", "after", crash)
    with pytest.raises(Crash):
        spend(world, 1, 150)
    assert spend(world, 1, 150) == "limit_exceeded"
    assert len(published_rows(table)) == 1


def test_a_low_balance_is_published_once_per_crossing(world: World, table: MemoryTable) -> None:
    world.set_alert(ALICE, 900)
    assert pay(world, 1, 100) == "posted"
    assert published_rows(table) == []
    assert pay(world, 2, 1) == "posted"
    assert pay(world, 3, 1) == "posted"
    assert published_rows(table) == [("balance.low", 899, 900)]
    world.fund(ALICE, 2, 9001)
    assert hold(world, 4, 10) == "held"
    assert published_rows(table)[1:] == [("balance.low", 890, 900)]
    world.ledger.settle(Settle(trf(4), BOB))
    assert pay(world, 5, 10_000) == "insufficient_funds"
    assert len(published_rows(table)) == 2
    world.set_alert(ALICE, None)
    world.fund(ALICE, 500, 9002)
    assert pay(world, 6, 1300) == "posted"
    assert len(published_rows(table)) == 2
    (first, _) = [event for event in published(table.changes) if event["type"] == "balance.low"]
    assert first["data"] == {
        "account_id": ALICE,
        "owner_id": OWNER,
        "currency": "USD",
        "available": 899,
        "threshold": 900,
    }


def test_an_alert_set_in_between_is_kept(world: World, table: MemoryTable) -> None:
    once(table, "transact", "before", lambda: world.set_alert(ALICE, 900))
    assert pay(world, 1, 101) == "posted"
    assert published_rows(table) == [("balance.low", 899, 900)]
    once(table, "transact", "before", lambda: world.set_alert(ALICE, 800))
    assert pay(world, 2, 50) == "posted"
    once(table, "transact", "before", lambda: world.set_alert(ALICE, None))
    assert pay(world, 3, 50) == "posted"
    assert len(published_rows(table)) == 1


def test_the_events_of_an_account_ascend_whatever_publishes_them(world: World, table: MemoryTable) -> None:
    world.set_alert(ALICE, 900)
    once(table, "transact", "before", lambda: world.set_limits(ALICE, 5000))
    pay(world, 1, 150)
    world.set_limits(ALICE, 100)
    pay(world, 2, 1)
    world.set_limits(ALICE, 50)
    events = list(published(table.changes))
    assert [event["type"] for event in events] == [
        *("account.updated", "account.updated", "balance.low"),
        *("account.updated", "limit.exceeded", "account.updated"),
    ]
    numbers = [event["sequence"] for event in events]
    assert numbers == sorted(set(numbers))
    assert len({event["id"] for event in events}) == len(events)


def test_published_events_do_not_invoke_the_publisher_again(world: World, table: MemoryTable) -> None:
    """The stream invokes the publisher for each changed item with an outbox."""
    world.set_limits(ALICE, 100)
    assert "outbox" in world.head(ALICE)
    seen = len(table.changes)
    pay(world, 1, 60)
    pay(world, 2, 10)
    assert [new for _, new in table.changes[seen:] if new and "outbox" in new] == []
    world.set_limits(ALICE, 50)
    seen = len(table.changes)
    pay(world, 3, 10)
    assert [new["pk"] for _, new in table.changes[seen:] if new and "outbox" in new] == [f"S#{trf(3)}"]


# --- reading and setting limits ----------------------------------------------------------------------------


class Pins:
    """A PIN check that counts its calls. Every account has the same PIN."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, account_id: str, pin: str | None, actor: Actor) -> None:
        self.calls += 1
        assert actor == ACTOR
        if pin != "246810":
            raise Refusal("invalid_pin" if pin else "pin_required")


@pytest.fixture
def pins() -> Pins:
    return Pins()


@pytest.fixture
def limits(world: World, pins: Pins) -> Limits:
    return Limits(LimitStore(world.table), world.clock, pins)


def put(limits: Limits, daily: int | None = None, weekly: int | None = None, pin: str | None = None) -> object:
    return LimitsResource.of(limits.put(ALICE, OWNER, daily, weekly, pin, ACTOR)).model_dump()


def test_a_new_account_has_no_limits(limits: Limits) -> None:
    assert shown(limits).model_dump() == {"currency": "USD", "daily": None, "weekly": None}


def test_what_was_spent_before_a_limit_was_set_counts(world: World, limits: Limits) -> None:
    pay(world, 1, 250)
    resource = {
        "currency": "USD",
        "daily": {"limit": 200, "spent": 250, "resets_at": "2026-11-22T00:00:00.000Z"},
        "weekly": None,
    }
    assert put(limits, 200) == resource
    assert shown(limits).model_dump() == resource
    assert pay(world, 2, 1) == "limit_exceeded"


@pytest.mark.parametrize(
    ("daily", "weekly", "needed"),
    [
        (100, 500, False),
        (99, 500, False),
        (100, 1, False),
        (101, 500, True),
        (100, 501, True),
        (50, 501, True),
        (None, 500, True),
        (100, None, True),
        (None, None, True),
    ],
)
def test_raising_or_removing_a_limit_needs_the_pin(
    limits: Limits, pins: Pins, daily: int | None, weekly: int | None, needed: bool
) -> None:
    put(limits, 100, 500)
    assert pins.calls == 0
    if needed:
        for pin, code in ((None, "pin_required"), ("111111", "invalid_pin")):
            with pytest.raises(Refusal) as refused:
                put(limits, daily, weekly, pin)
            assert refused.value.code == code
        assert pins.calls == 2
    put(limits, daily, weekly, "246810")
    current = shown(limits)
    assert (current.daily and current.daily.limit, current.weekly and current.weekly.limit) == (daily, weekly)
    assert pins.calls == (3 if needed else 0)


def test_a_refused_raise_changes_nothing(world: World, limits: Limits) -> None:
    put(limits, 100, 500)
    before = world.head(ALICE)
    with pytest.raises(Refusal):
        put(limits, 101, 500)
    assert world.head(ALICE) == before


def test_a_change_publishes_who_made_it_and_the_same_again_publishes_nothing(
    limits: Limits, world: World, table: MemoryTable
) -> None:
    put(limits, 100)
    before = world.head(ALICE)
    put(limits, 100)
    assert world.head(ALICE) == before
    (event,) = published(table.changes)
    assert (event["type"], event["sequence"], event["actor"]["user_id"]) == ("account.updated", 2, OWNER)
    assert event["data"] == {
        "account_id": ALICE,
        "owner_id": OWNER,
        "currency": "USD",
        "type": "credit",
        "name": "Main",
        "status": "active",
        "changed": ["daily_limit", "weekly_limit"],
        "daily_limit": 100,
        "weekly_limit": None,
    }


@pytest.mark.parametrize(("account_id", "caller"), [(ALICE, "usr_else"), (STRANGER, OWNER)])
def test_the_limits_of_others_are_not_found(limits: Limits, account_id: str, caller: str) -> None:
    for ask in (
        lambda: limits.get(account_id, caller),
        lambda: limits.put(account_id, caller, 1, None, None, ACTOR),
    ):
        with pytest.raises(Refusal) as refused:
            ask()
        assert refused.value.code == "not_found"


def test_the_limits_of_a_closed_account_stay_unchanged(world: World, limits: Limits, table: MemoryTable) -> None:
    pay(world, 1, 1000)
    once(table, "update", "before", lambda: world.set_status(ALICE, "closed"))
    with pytest.raises(Refusal) as refused:
        put(limits, 100)
    assert refused.value.code == "invalid_state"
    assert shown(limits).daily is None


def test_a_limit_that_was_lowered_meanwhile_is_raised_only_with_the_pin(
    world: World, limits: Limits, table: MemoryTable, pins: Pins
) -> None:
    once(table, "update", "before", lambda: world.set_limits(ALICE, 50))
    with pytest.raises(Refusal) as refused:
        put(limits, 100)
    assert refused.value.code == "pin_required"


def test_the_pin_is_checked_once_although_the_account_changes(
    world: World, limits: Limits, table: MemoryTable, pins: Pins
) -> None:
    put(limits, 50)
    once(table, "update", "before", lambda: pay(world, 1, 10))
    put(limits, 100, pin="246810")
    assert pins.calls == 1
    daily = shown(limits).daily
    assert daily is not None
    assert (daily.limit, daily.spent) == (100, 10)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_limits_whose_reply_was_lost_are_set_and_published_once(
    limits: Limits, world: World, table: MemoryTable, moment: str
) -> None:
    once(table, "update", moment, crash)
    with pytest.raises(Crash):
        put(limits, 100)
    put(limits, 100)
    assert [event["type"] for event in published(table.changes)] == ["account.updated"]
    assert world.head(ALICE)["changes"] == 1


def test_setting_limits_gives_up_if_the_account_keeps_changing(
    world: World, limits: Limits, table: MemoryTable
) -> None:
    number = iter(range(1, 100))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("update", "before"):
            table.hook = None
            pay(world, next(number), 1)
            table.hook = hook

    table.hook = hook
    with pytest.raises(Contended):
        put(limits, 100)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "100", True, 10**15 + 1])
def test_invalid_limits(limit: object) -> None:
    with pytest.raises(ValidationError):
        SetLimits.model_validate({"daily": limit})
    with pytest.raises(ValidationError):
        SetLimits.model_validate({"weekly": limit})
    assert SetLimits.model_validate({"daily": None}) == SetLimits()


def test_the_world_needs_no_pin(world: World) -> None:
    world.limits.put(ALICE, OWNER, 5, None, None, SYSTEM)
    world.limits.put(ALICE, OWNER, None, None, None, SYSTEM)
    assert shown(world.limits).daily is None
