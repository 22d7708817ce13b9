"""Spending limits and low balances: what counts, when it starts anew, what is declined, who is told, and how often."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from common.clock import timestamp
from common.errors import Problem
from common.events import SYSTEM, Actor
from common.tasks import Post, Release, Reserve, Settle
from pydantic import ValidationError

from functions.accounts.domain.limits import day, day_ends, week, week_ends
from functions.accounts.models.limits import SetLimits
from functions.accounts.service.limits import Limits
from functions.accounts.store.limits import LimitTable
from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.bench import ALICE, BOB, CAROL, STRANGER, Bench, published, trf
from tests.unit.accounts.ledger.books import Books

OWNER = f"usr_{ALICE[4:]}"
ACTOR = Actor(OWNER, "ses_1", "203.0.113.7", "tests")


class Crash(Exception):
    """The process died, or never heard the reply."""


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def bench(table: MemoryTable) -> Iterator[Bench]:
    bench = Bench(table)
    bench.fund(ALICE, 1000)
    yield bench
    table.hook = None
    Books.of(table.items()).check()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def pay(bench: Bench, number: int, amount: int, destination: str = BOB) -> str:
    outcome = bench.ledger.post(Post(trf(number), ALICE, destination, amount, "USD"))
    return outcome.code or outcome.outcome


def hold(bench: Bench, number: int, amount: int) -> str:
    outcome = bench.ledger.reserve(Reserve(trf(number), ALICE, amount, "USD"))
    return outcome.code or outcome.outcome


def spent(bench: Bench) -> tuple[int, int]:
    """Of the day and the week, under limits that stop nothing."""
    bench.set_limits(ALICE, 10**15, 10**15)
    shown = bench.limits.get(ALICE, OWNER)
    assert shown.daily is not None
    assert shown.weekly is not None
    return shown.daily.spent, shown.weekly.spent


def told(table: MemoryTable) -> list[tuple[object, ...]]:
    names = {"limit.exceeded": ("period", "limit", "spent", "amount"), "balance.low": ("available", "threshold")}
    return [
        (event["type"], *(event["data"][name] for name in names[event["type"]]))
        for event in published(table.changes)
        if event["type"] in names
    ]


def once(table: MemoryTable, operation: str, moment: str, happening: Callable[[], object]) -> None:
    def hook(call: Call) -> None:
        if (call.operation, call.moment) == (operation, moment):
            table.hook = None
            happening()

    table.hook = hook


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
def test_counters_start_anew_with_the_day_and_the_week(
    table: MemoryTable, before: str, after: str, counted: tuple[int, int]
) -> None:
    bench = Bench(table)
    bench.clock.at = moment("2025-01-01")
    bench.fund(ALICE, 1000)
    bench.clock.at = moment(before)
    assert pay(bench, 1, 60) == "posted"
    bench.clock.at = moment(after)
    assert pay(bench, 2, 10) == "posted"
    assert spent(bench) == counted
    Books.of(table.items()).check()


def test_what_is_shown_starts_anew_by_itself(bench: Bench) -> None:
    bench.set_limits(ALICE, 100, 200)
    pay(bench, 1, 60)
    bench.clock.at = moment("2026-11-22T00:00:00.000")
    assert bench.limits.get(ALICE, OWNER).model_dump() == {
        "currency": "USD",
        "daily": {"limit": 100, "spent": 0, "resets_at": "2026-11-23T00:00:00.000Z"},
        "weekly": {"limit": 200, "spent": 60, "resets_at": "2026-11-23T00:00:00.000Z"},
    }
    bench.clock.at = moment("2026-11-23T00:00:00.000")
    assert pay(bench, 2, 100) == "posted"


def test_a_line_that_is_pushed_forward_counts_on_its_own_day(bench: Bench) -> None:
    """The payee's last line is of tomorrow, by the clock of another machine."""
    bench.set_limits(ALICE, 100)
    assert pay(bench, 1, 60) == "posted"
    bench.clock.at = moment("2026-11-22T00:00:00.001")
    bench.fund(BOB, 1, 9001)
    bench.clock.at = moment("2026-11-21T23:59:59.999")
    assert pay(bench, 2, 70, CAROL) == "limit_exceeded"
    assert pay(bench, 3, 70, BOB) == "posted"
    assert bench.head(ALICE)["day"] == "2026-11-22"
    assert pay(bench, 4, 31, CAROL) == "limit_exceeded"
    daily = bench.limits.get(ALICE, OWNER).daily
    assert daily is not None
    assert (daily.spent, daily.resets_at) == (70, "2026-11-23T00:00:00.000Z")


# --- declining ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spend", [pay, hold])
@pytest.mark.parametrize(("daily", "weekly"), [(100, None), (None, 100), (100, 500), (500, 100)])
def test_a_limit_is_reached_and_not_passed(
    bench: Bench, table: MemoryTable, spend: Callable[[Bench, int, int], str], daily: int | None, weekly: int | None
) -> None:
    bench.set_limits(ALICE, daily, weekly)
    assert spend(bench, 1, 60) in ("posted", "held")
    before = bench.head(ALICE)
    assert spend(bench, 2, 41) == "limit_exceeded"
    after = bench.head(ALICE)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"day_told", "week_told", "changes"}
    assert spend(bench, 3, 40) in ("posted", "held")
    bench.clock.advance(days=7)
    assert spend(bench, 2, 41) == "limit_exceeded", "a decline stands"
    assert spend(bench, 4, 41) in ("posted", "held")


def test_limits_are_looked_at_last(bench: Bench, table: MemoryTable) -> None:
    bench.set_limits(ALICE, 100)
    assert pay(bench, 1, 1001) == "insufficient_funds"
    bench.set_status(ALICE, "frozen")
    assert pay(bench, 2, 101) == "account_frozen"
    assert told(table) == []


def test_money_that_comes_in_counts_nothing(bench: Bench) -> None:
    bench.set_limits(ALICE, 100, 100)
    pay(bench, 1, 100)
    bench.fund(ALICE, 500, 9001)
    assert "day" not in bench.head(BOB)
    assert pay(bench, 2, 1) == "limit_exceeded"


def test_settling_is_never_declined_by_a_limit(bench: Bench) -> None:
    assert hold(bench, 1, 100) == "held"
    bench.set_limits(ALICE, 10, 10)
    bench.clock.advance(days=7)
    assert bench.ledger.settle(Settle(trf(1), BOB)).outcome == "settled"
    assert spent(bench) == (0, 0)


@pytest.mark.parametrize(
    ("days", "counted"), [(0, (30, 30)), (1, (0, 30)), (2, (0, 0))], ids=["that day", "that week", "later"]
)
@pytest.mark.parametrize("resolve", ["release", "settle", "lapse"])
def test_what_a_hold_gives_back_counts_no_more(bench: Bench, days: int, counted: tuple[int, int], resolve: str) -> None:
    """Saturday, Sunday, Monday."""
    lapses_at = timestamp(bench.clock() + timedelta(seconds=1)) if resolve == "lapse" else ""
    pay(bench, 1, 30)
    bench.ledger.reserve(Reserve(trf(2), ALICE, 100, "USD", "", lapses_at))
    assert spent(bench) == (130, 130)
    bench.clock.advance(days=days, seconds=1)
    if resolve == "settle":
        bench.ledger.settle(Settle(trf(2), BOB, 60))
        counted = (counted[0] and counted[0] + 60, counted[1] and counted[1] + 60)
    else:
        assert bench.ledger.release(Release(trf(2))).outcome == ("lapsed" if resolve == "lapse" else "released")
    assert spent(bench) == counted


def test_a_hold_of_another_day_gives_nothing_back_to_this_one(bench: Bench) -> None:
    hold(bench, 1, 100)
    bench.clock.advance(days=1)
    pay(bench, 2, 70)
    bench.ledger.release(Release(trf(1)))
    assert spent(bench) == (70, 70)


def test_a_limit_lowered_in_between_is_kept(bench: Bench, table: MemoryTable) -> None:
    once(table, "transact", "before", lambda: bench.set_limits(ALICE, 100))
    assert pay(bench, 1, 101) == "limit_exceeded"
    once(table, "transact", "before", lambda: bench.set_limits(ALICE, None, 50))
    assert hold(bench, 2, 51) == "limit_exceeded"


def test_two_who_spend_the_last_of_a_limit_at_once(bench: Bench, table: MemoryTable) -> None:
    bench.set_limits(ALICE, 100)
    once(table, "transact", "before", lambda: pay(bench, 2, 60))
    assert pay(bench, 1, 60) == "limit_exceeded"
    assert spent(bench) == (60, 60)


# --- being told -----------------------------------------------------------------------------------------------------


def test_the_first_decline_of_a_period_is_told(bench: Bench, table: MemoryTable) -> None:
    bench.set_limits(ALICE, 100, 150)
    pay(bench, 1, 60)
    assert [pay(bench, number, 50) for number in (2, 3)] == ["limit_exceeded"] * 2
    assert hold(bench, 4, 50) == "limit_exceeded"
    daily = ("limit.exceeded", "daily", 100, 60, 50)
    assert told(table) == [daily]
    assert pay(bench, 5, 99) == "limit_exceeded"
    weekly = ("limit.exceeded", "weekly", 150, 60, 99)
    assert told(table) == [daily, weekly]
    bench.clock.advance(days=1)
    assert pay(bench, 6, 101) == "limit_exceeded"
    assert told(table) == [daily, weekly, ("limit.exceeded", "daily", 100, 0, 101)]


def test_both_limits_met_at_once_are_two_events(bench: Bench, table: MemoryTable) -> None:
    bench.set_limits(ALICE, 100, 150)
    pay(bench, 1, 151)
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
        timestamp(bench.clock()),
    )


def test_another_limit_is_told_of_anew(bench: Bench, table: MemoryTable) -> None:
    for limit in (100, 100, 120, 100):
        bench.set_limits(ALICE, limit)
        pay(bench, limit + len(told(table)), 150)
    assert [each[2] for each in told(table)] == [100, 120, 100]


def test_two_first_declines_at_once_tell_once(bench: Bench, table: MemoryTable) -> None:
    bench.set_limits(ALICE, 100)
    once(table, "transact", "before", lambda: pay(bench, 2, 150))
    assert pay(bench, 1, 150) == "limit_exceeded"
    assert len(told(table)) == 1


@pytest.mark.parametrize("spend", [pay, hold])
def test_a_decline_whose_reply_was_lost_is_told_once(
    bench: Bench, table: MemoryTable, spend: Callable[[Bench, int, int], str]
) -> None:
    bench.set_limits(ALICE, 100)

    def crash() -> None:
        raise Crash

    once(table, "transact", "after", crash)
    with pytest.raises(Crash):
        spend(bench, 1, 150)
    assert spend(bench, 1, 150) == "limit_exceeded"
    assert len(told(table)) == 1


def test_little_left_is_told_once_a_crossing(bench: Bench, table: MemoryTable) -> None:
    bench.set_alert(ALICE, 900)
    assert pay(bench, 1, 100) == "posted"
    assert told(table) == []
    assert pay(bench, 2, 1) == "posted"
    assert pay(bench, 3, 1) == "posted"
    assert told(table) == [("balance.low", 899, 900)]
    bench.fund(ALICE, 2, 9001)
    assert hold(bench, 4, 10) == "held"
    assert told(table)[1:] == [("balance.low", 890, 900)]
    bench.ledger.settle(Settle(trf(4), BOB))
    assert pay(bench, 5, 10_000) == "insufficient_funds"
    assert len(told(table)) == 2
    bench.set_alert(ALICE, None)
    bench.fund(ALICE, 500, 9002)
    assert pay(bench, 6, 1300) == "posted"
    assert len(told(table)) == 2
    (first, _) = [event for event in published(table.changes) if event["type"] == "balance.low"]
    assert first["data"] == {
        "account_id": ALICE,
        "owner_id": OWNER,
        "currency": "USD",
        "available": 899,
        "threshold": 900,
    }


def test_an_alert_set_in_between_is_kept(bench: Bench, table: MemoryTable) -> None:
    once(table, "transact", "before", lambda: bench.set_alert(ALICE, 900))
    assert pay(bench, 1, 101) == "posted"
    assert told(table) == [("balance.low", 899, 900)]
    once(table, "transact", "before", lambda: bench.set_alert(ALICE, 800))
    assert pay(bench, 2, 50) == "posted"
    once(table, "transact", "before", lambda: bench.set_alert(ALICE, None))
    assert pay(bench, 3, 50) == "posted"
    assert len(told(table)) == 1


def test_an_accounts_events_are_numbered_upwards_whoever_tells_them(bench: Bench, table: MemoryTable) -> None:
    bench.set_alert(ALICE, 900)
    once(table, "transact", "before", lambda: bench.set_limits(ALICE, 5000))
    pay(bench, 1, 150)
    bench.set_limits(ALICE, 100)
    pay(bench, 2, 1)
    bench.set_limits(ALICE, 50)
    events = list(published(table.changes))
    assert [event["type"] for event in events] == [
        *("account.updated", "account.updated", "balance.low"),
        *("account.updated", "limit.exceeded", "account.updated"),
    ]
    numbers = [event["sequence"] for event in events]
    assert numbers == sorted(set(numbers))
    assert len({event["id"] for event in events}) == len(events)


def test_what_was_told_wakes_the_publisher_no_more(bench: Bench, table: MemoryTable) -> None:
    """The stream's filter lets pass what has an outbox."""
    bench.set_limits(ALICE, 100)
    assert "outbox" in bench.head(ALICE)
    seen = len(table.changes)
    pay(bench, 1, 60)
    pay(bench, 2, 10)
    assert [new for _, new in table.changes[seen:] if new and "outbox" in new] == []
    bench.set_limits(ALICE, 50)
    seen = len(table.changes)
    pay(bench, 3, 10)
    assert [new["pk"] for _, new in table.changes[seen:] if new and "outbox" in new] == [f"S#{trf(3)}"]


# --- looking at limits, and setting them ----------------------------------------------------------------------------


class Pins:
    """The PIN of every account, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, account_id: str, pin: str | None, actor: Actor) -> None:
        self.asked += 1
        assert actor == ACTOR
        if pin != "246810":
            raise Problem("invalid_pin" if pin else "pin_required")


@pytest.fixture
def pins() -> Pins:
    return Pins()


@pytest.fixture
def limits(bench: Bench, pins: Pins) -> Limits:
    return Limits(LimitTable(bench.table), bench.clock, pins)


def put(limits: Limits, daily: int | None = None, weekly: int | None = None, pin: str | None = None) -> object:
    return limits.put(ALICE, OWNER, SetLimits(daily=daily, weekly=weekly, pin=pin), ACTOR).model_dump()


def test_none_at_first(limits: Limits) -> None:
    assert limits.get(ALICE, OWNER).model_dump() == {"currency": "USD", "daily": None, "weekly": None}


def test_what_was_spent_before_a_limit_counts_under_it(bench: Bench, limits: Limits) -> None:
    pay(bench, 1, 250)
    shown = {
        "currency": "USD",
        "daily": {"limit": 200, "spent": 250, "resets_at": "2026-11-22T00:00:00.000Z"},
        "weekly": None,
    }
    assert put(limits, 200) == shown
    assert limits.get(ALICE, OWNER).model_dump() == shown
    assert pay(bench, 2, 1) == "limit_exceeded"


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
def test_raising_or_removing_a_limit_takes_the_pin(
    limits: Limits, pins: Pins, daily: int | None, weekly: int | None, needed: bool
) -> None:
    put(limits, 100, 500)
    assert pins.asked == 0
    if needed:
        for pin, code in ((None, "pin_required"), ("111111", "invalid_pin")):
            with pytest.raises(Problem) as refused:
                put(limits, daily, weekly, pin)
            assert refused.value.code == code
        assert pins.asked == 2
    put(limits, daily, weekly, "246810")
    shown = limits.get(ALICE, OWNER)
    assert (shown.daily and shown.daily.limit, shown.weekly and shown.weekly.limit) == (daily, weekly)
    assert pins.asked == (3 if needed else 0)


def test_a_refused_raise_changes_nothing(bench: Bench, limits: Limits) -> None:
    put(limits, 100, 500)
    before = bench.head(ALICE)
    with pytest.raises(Problem):
        put(limits, 101, 500)
    assert bench.head(ALICE) == before


def test_a_change_is_told_with_who_made_it_and_the_same_again_is_none(
    limits: Limits, bench: Bench, table: MemoryTable
) -> None:
    put(limits, 100)
    before = bench.head(ALICE)
    put(limits, 100)
    assert bench.head(ALICE) == before
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
def test_others_find_nothing(limits: Limits, account_id: str, caller: str) -> None:
    for ask in (
        lambda: limits.get(account_id, caller),
        lambda: limits.put(account_id, caller, SetLimits(daily=1), ACTOR),
    ):
        with pytest.raises(Problem) as refused:
            ask()
        assert refused.value.code == "not_found"


def test_a_closed_accounts_limits_stay_as_they_are(bench: Bench, limits: Limits, table: MemoryTable) -> None:
    pay(bench, 1, 1000)
    once(table, "update", "before", lambda: bench.set_status(ALICE, "closed"))
    with pytest.raises(Problem) as refused:
        put(limits, 100)
    assert refused.value.code == "invalid_state"
    assert limits.get(ALICE, OWNER).daily is None


def test_a_raise_decided_on_what_is_gone_asks_for_the_pin_after_all(
    bench: Bench, limits: Limits, table: MemoryTable, pins: Pins
) -> None:
    once(table, "update", "before", lambda: bench.set_limits(ALICE, 50))
    with pytest.raises(Problem) as refused:
        put(limits, 100)
    assert refused.value.code == "pin_required"


def test_the_pin_is_asked_for_once_however_often_the_account_moves_on(
    bench: Bench, limits: Limits, table: MemoryTable, pins: Pins
) -> None:
    put(limits, 50)
    once(table, "update", "before", lambda: pay(bench, 1, 10))
    put(limits, 100, pin="246810")
    assert pins.asked == 1
    daily = limits.get(ALICE, OWNER).daily
    assert daily is not None
    assert (daily.limit, daily.spent) == (100, 10)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_limits_whose_reply_was_lost_are_set_once_and_told_once(
    limits: Limits, bench: Bench, table: MemoryTable, moment: str
) -> None:
    def crash() -> None:
        raise Crash

    once(table, "update", moment, crash)
    with pytest.raises(Crash):
        put(limits, 100)
    put(limits, 100)
    assert [event["type"] for event in published(table.changes)] == ["account.updated"]
    assert bench.head(ALICE)["changes"] == 1


def test_patience_has_an_end(bench: Bench, limits: Limits, table: MemoryTable) -> None:
    number = iter(range(1, 100))

    def hook(call: Call) -> None:
        if (call.operation, call.moment) == ("update", "before"):
            table.hook = None
            pay(bench, next(number), 1)
            table.hook = hook

    table.hook = hook
    with pytest.raises(Problem) as refused:
        put(limits, 100)
    assert (refused.value.code, refused.value.retry_after) == ("unavailable", 1)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "100", True, 10**15 + 1])
def test_what_is_no_limit(limit: object) -> None:
    with pytest.raises(ValidationError):
        SetLimits.model_validate({"daily": limit})
    with pytest.raises(ValidationError):
        SetLimits.model_validate({"weekly": limit})
    assert SetLimits.model_validate({"daily": None}) == SetLimits()


def test_the_bench_asks_for_no_pin(bench: Bench) -> None:
    bench.limits.put(ALICE, OWNER, SetLimits(daily=5), SYSTEM)
    bench.limits.put(ALICE, OWNER, SetLimits(), SYSTEM)
    assert bench.limits.get(ALICE, OWNER).daily is None
