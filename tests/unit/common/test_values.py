"""Money, ids, time, cursors, fingerprints: the small values everything else is made of."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from common import clock, ids
from common.errors import Refusal
from common.http.cursors import Cursors
from common.idempotency import IdempotencyKey, canonical_body, scope_of
from common.keys import Keyring
from common.money import exponent, format_amount, is_currency
from common.paging import take
from hypothesis import given
from hypothesis import strategies as st

MOMENT = datetime(2026, 11, 21, 9, 30, 0, 123_999, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1050, "USD", "10.50 USD"),
        (5, "USD", "0.05 USD"),
        (-1050, "USD", "-10.50 USD"),
        (123456789, "USD", "1,234,567.89 USD"),
        (1050, "JPY", "1,050 JPY"),
        (1050, "BHD", "1.050 BHD"),
    ],
)
def test_amounts_as_a_person_reads_them(amount: int, currency: str, text: str) -> None:
    assert format_amount(amount, currency) == text


def test_iso_4217_exponents() -> None:
    assert [exponent(code) for code in ("USD", "EUR", "JPY", "KRW", "ISK", "BHD", "KWD", "TND")] == [
        2,
        2,
        0,
        0,
        0,
        3,
        3,
        3,
    ]
    assert not any(is_currency(code) for code in ("XXX", "XAU", "usd", "", "HRK"))


@given(MOMENTS)
def test_times_survive_the_way_there_and_back(moment: datetime) -> None:
    text = clock.timestamp(moment)
    assert clock.parse(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert len(text) == 24
    assert text.endswith("Z")


@given(MOMENTS, MOMENTS)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (clock.timestamp(one) < clock.timestamp(other)) <= (one < other)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", ""])
def test_what_names_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock.parse(text)


def test_early_years_sort_too() -> None:
    assert clock.timestamp(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00.000Z"


def test_other_offsets_and_none() -> None:
    assert clock.timestamp(MOMENT.astimezone(timezone(timedelta(hours=5)))) == "2026-11-21T09:30:00.123Z"
    with pytest.raises(ValueError, match="offset"):
        clock.parse("2026-11-21T09:30:00")


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    first, second = ids.new_id("trf", one), ids.new_id("trf", other)
    assert ids.is_id(first, "trf")
    if other - one >= timedelta(milliseconds=1):
        assert first < second


def test_ids_are_never_twice_the_same_unless_derived() -> None:
    assert len({ids.new_id("trf", MOMENT) for _ in range(1000)}) == 1000
    assert ids.derived_id("ntf", MOMENT, "a", "b") == ids.derived_id("ntf", MOMENT, "a", "b")
    assert ids.derived_id("ntf", MOMENT, "a", "b") != ids.derived_id("ntf", MOMENT, "ab", "")


@pytest.mark.parametrize(
    "text", ["", "trf", "trf_", "acc_01K0000000000000000000000A", "trf_01K0000000000000000000000I", "trf_" + "0" * 27]
)
def test_what_is_no_id(text: str) -> None:
    assert not ids.is_id(text, "trf")


def test_a_page_knows_whether_another_follows() -> None:
    rows = [(str(n), n) for n in range(3)]
    assert take(rows, 2) == ([0, 1], "1")
    assert take(rows, 3) == ([0, 1, 2], None)
    assert take([], 3) == ([], None)


def keys() -> Keyring:
    return Keyring({"1": b"k"})


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_cursor_is_good_for_its_caller_list_and_filters_only(position: str) -> None:
    mine = Cursors("usr_1", "/v1/transfers", {"status": "completed", "limit": 5, "cursor": None}, keys)
    cursor = mine.encode(position)
    assert cursor is not None
    assert mine.decode(cursor) == position
    assert Cursors("usr_1", "/v1/transfers", {"status": "completed", "limit": 9}, keys).decode(cursor) == position
    others = [
        Cursors("usr_2", "/v1/transfers", {"status": "completed"}, keys),
        Cursors("usr_1", "/v1/accounts", {"status": "completed"}, keys),
        Cursors("usr_1", "/v1/transfers", {"status": "pending"}, keys),
    ]
    for cursors in others:
        with pytest.raises(Refusal, match="invalid_cursor"):
            cursors.decode(cursor)


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "AAAAAAAAAAA", "\u00e9", "A" * 1000, "A" * 2000, "YWJjZGVmZ2hpamts"]
)
def test_broken_cursors(cursor: str) -> None:
    with pytest.raises(Refusal, match="invalid_cursor"):
        Cursors("usr_1", "/v1/transfers", {}, keys).decode(cursor)


def test_a_cursor_can_not_be_forged_and_survives_a_rotation() -> None:
    def cursors(keys: dict[str, bytes]) -> Cursors:
        return Cursors("usr_1", "/v1/transfers", {}, lambda: Keyring(keys))

    before = cursors({"1": b"old"}).encode("trf_1")
    assert cursors({"1": b"old", "2": b"new"}).decode(before) == "trf_1"
    with pytest.raises(Refusal, match="invalid_cursor"):
        cursors({"1": b"new"}).decode(before)


def test_no_position_is_no_cursor() -> None:
    cursors = Cursors("usr_1", "/v1/transfers", {}, keys)
    assert cursors.encode(None) is None
    assert cursors.decode(None) is None


def test_the_fingerprint_leaves_out_what_is_never_kept_and_nulls_and_nothing_else() -> None:
    first = canonical_body({"amount": 5, "currency": "USD", "pin": "123456"})
    assert canonical_body({"currency": "USD", "amount": 5, "pin": "654321"}) == first
    assert canonical_body({"currency": "USD", "amount": 5, "cvv": "111", "description": None}) == first
    assert canonical_body({"currency": "USD", "amount": 6}) != first
    assert canonical_body({"to": [{"a": 1, "b": None}]}) == canonical_body({"to": [{"a": 1}]})
    assert canonical_body({"a": {"pin": "1"}}) != canonical_body({"a": {}})


def test_a_key_has_one_scope_per_caller_method_and_path() -> None:
    scopes = {
        scope_of(caller, method, path, key)
        for caller in ("usr_1", "usr_2")
        for method in ("POST", "PUT")
        for path in ("/v1/transfers", "/v1/deposits")
        for key in ("a", "b")
    }
    assert len(scopes) == 16


def test_a_key_used_for_another_body_is_refused() -> None:
    key = IdempotencyKey("scope", Keyring({"1": b"old", "2": b"new"}).digests(canonical_body({"amount": 5})))
    key.check(key.fingerprint)
    key.check(Keyring({"1": b"old"}).digest(canonical_body({"amount": 5})))
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        key.check("2:" + "0" * 64)
