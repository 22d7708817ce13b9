import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from common.contracts.accounts import CloseAccounts
from common.contracts.events import SYSTEM
from common.errors import Contended, Refusal
from common.idempotency import IdempotencyKey, KeyedAnswer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from stdnum import iban as stdnum_iban
from stdnum import luhn

from functions.accounts.domain.banks import BANKS
from functions.accounts.domain.instruments import (
    BankAccount,
    Card,
    brand_of,
    canonical_card_number,
    canonical_iban,
    has_expired,
)
from functions.accounts.models.instruments import LinkBankAccount, LinkCard
from tests.support.memory_table import Call, Conflict
from tests.unit.accounts.world import ADA, BOB, Crash, World, crash, once, refused

KEY = IdempotencyKey("scope", ("fingerprint",))
NUMBER = "4242424242424242"
CARD = {"number": NUMBER, "holder_name": "Ada Lovelace", "exp_month": 11, "exp_year": 2026, "cvv": "737"}
IBAN = "DE89370400440532013000"
BANK_ACCOUNT = {"bank_id": "hanse-bank", "iban": IBAN, "holder_name": "Ada Lovelace"}


def link(world: World, user: str = ADA, key: IdempotencyKey | None = None, **fields: Any) -> KeyedAnswer:
    world.clock.advance(milliseconds=1)
    return world.instruments.link_card(user, LinkCard.model_validate({**CARD, **fields}).command(), key)


def link_bank(world: World, user: str = ADA, key: IdempotencyKey | None = None, **fields: Any) -> KeyedAnswer:
    world.clock.advance(milliseconds=1)
    wanted = LinkBankAccount.model_validate({**BANK_ACCOUNT, **fields}).command()
    return world.instruments.link_bank_account(user, wanted, key)


def id_of(linked: KeyedAnswer) -> str:
    return str(json.loads(linked.answer.body)["id"])


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", "visa"),
        ("4222222222222", "visa"),
        ("5555555555554444", "mastercard"),
        ("2223003122003222", "mastercard"),
        ("2720990000000007", "mastercard"),
        ("378282246310005", "amex"),
        ("6011111111111117", "discover"),
        ("6221260000000000", "discover"),
        ("6229260000000002", "unionpay"),
        ("30569309025904", "diners"),
        ("3566002020360505", "jcb"),
        ("6205500000000000004", "unionpay"),
        ("6759649826438453", "maestro"),
    ],
)
def test_valid_card_numbers_and_their_brands(number: str, brand: str) -> None:
    assert canonical_card_number(number) == number
    assert brand_of(number) == brand


@pytest.mark.parametrize(
    "number",
    [
        "",
        "4242424242424241",
        "424242424242",  # 12 digits, with a right check digit
        "42424242424242424242",
        "0000000000000000",
        "2721000000000004",  # of no brand
        "9999999999999995",
        "3782822463100050",  # 16 digits of American Express
        "37828224631003",
        "42424242424242424",  # 17 digits of Visa
        "5555555555554",  # 13 digits of Mastercard
        "4242\t4242\t4242\t4242",
        "4242.4242.4242.4242",
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "424242424242424²",
        "4242424242424242\n",
        "-242424242424242",
    ],
)
def test_invalid_card_numbers(number: str) -> None:
    assert canonical_card_number(number) is None


@pytest.mark.parametrize("number", ["3782822463100050", "42424242424242424", "5555555555554", "0000000000000000"])
def test_the_check_digit_of_a_wrong_length_or_prefix_may_be_right(number: str) -> None:
    assert luhn.is_valid(number[:-1] + luhn.calc_check_digit(number[:-1]))
    assert canonical_card_number(number[:-1] + luhn.calc_check_digit(number[:-1])) is None


@pytest.mark.parametrize(
    "text",
    ["4242 4242 4242 4242", "4242-4242-4242-4242", "4242\u00a04242\u202f4242\u20114242", " 4242424242424242 "],
)
def test_spaces_and_hyphens_of_a_card_number_are_ignored(text: str) -> None:
    assert canonical_card_number(text) == NUMBER
    assert LinkCard.model_validate({**CARD, "number": text}).number == NUMBER


@given(st.sampled_from([12, 15, 18]), st.data())
def test_any_wrong_digit_is_detected(digits: int, data: st.DataObject) -> None:
    payload = "4" + data.draw(st.text("0123456789", min_size=digits - 1, max_size=digits - 1))
    number = payload + luhn.calc_check_digit(payload)
    assert canonical_card_number(number) == number
    position = data.draw(st.integers(0, len(number) - 1))
    digit = data.draw(st.sampled_from([each for each in "0123456789" if each != number[position]]))
    assert canonical_card_number(number[:position] + digit + number[position + 1 :]) is None


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC), False),
        (datetime(2026, 12, 1, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), True),
        (datetime(2025, 12, 31, tzinfo=UTC), False),
    ],
)
def test_a_card_is_valid_to_the_end_of_its_month(now: datetime, expired: bool) -> None:
    assert has_expired(11, 2026, now) is expired


@pytest.mark.parametrize(
    "iban",
    [
        IBAN,
        "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "DE89-3704-0044-0532-0130-00",
        "DE89\u00a03704\u00a00044\u202f0532\u20110130\u201000",
    ],
)
def test_valid_ibans_lose_their_spaces_and_hyphens(iban: str) -> None:
    assert canonical_iban(iban) == re.sub(r"[^A-Z0-9]", "", iban.upper())


@pytest.mark.parametrize(
    "iban",
    [
        "",
        "DE",
        "DE88370400440532013000",  # check digits
        "DE8937040044053201300",  # a digit short
        "XX89370400440532013000",
        "DE89/3704/0044/0532/0130/00",
        "DE89\n370400440532013000",
        "DE8937040044053201300O",
        "DE1A370400440532013000",
        "\uff24\uff2589370400440532013000",
        "\x00" * 22,
    ],
)
def test_invalid_ibans(iban: str) -> None:
    assert canonical_iban(iban) is None


@pytest.mark.parametrize("wrong", [0, 1, 99])
def test_check_digits_that_are_never_given_out_are_refused(wrong: int) -> None:
    """00, 01 and 99 leave the same remainder as 97, 98 and 02."""
    right = {0: 97, 1: 98, 99: 2}[wrong]
    account = next(f"{number:018}" for number in range(10**6) if check_digits(f"{number:018}") == right)
    assert canonical_iban(f"DE{right:02}{account}") == f"DE{right:02}{account}"
    assert stdnum_iban.is_valid(f"DE{wrong:02}{account}", check_country=False)
    assert canonical_iban(f"DE{wrong:02}{account}") is None


def check_digits(account: str) -> int:
    """The check digits of a German account number (ISO 13616)."""
    return 98 - int(account + "131400") % 97


def test_an_iban_of_the_wrong_length_is_invalid_even_with_correct_check_digits() -> None:
    body = "3704004405320130001"
    check = 98 - int("".join(str(int(each, 36)) for each in body + "DE00")) % 97
    assert canonical_iban(f"DE{check:02}{body}") is None


def test_a_card_of_an_unknown_brand_has_a_display_name() -> None:
    card = Card("crd_1", "unknown", "9995", 1, 2030, "Ada", "")
    assert card.display_name == "Card 9995"
    assert replace(card, brand="visa", last4="4242").display_name == "Visa 4242"


def test_banks_have_ids_and_countries() -> None:
    assert all(key == bank.id and key.isascii() and len(bank.country) == 2 for key, bank in BANKS.items())


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"number": "4242424242424241"},
        {"number": 4242424242424242},
        {"holder_name": ""},
        {"exp_month": 0},
        {"exp_month": 13},
        {"exp_month": "11"},
        {"exp_year": 26},
        {"exp_year": 2026.0},
        {"cvv": "73"},
        {"cvv": "73777"},
        {"cvv": "73a"},
        {"cvv": 737},
        {"brand": "visa"},
    ],
)
def test_an_invalid_card_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LinkCard.model_validate({**CARD, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"bank_id": "no-such-bank"},
        {"bank_id": 7},
        {"iban": "DE88370400440532013000"},
        {"iban": 1},
        {"holder_name": "\n"},
    ],
)
def test_an_invalid_bank_account_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LinkBankAccount.model_validate({**BANK_ACCOUNT, **fields})


def test_the_repr_of_a_body_or_command_has_no_number() -> None:
    bodies = LinkCard.model_validate(CARD), LinkBankAccount.model_validate(BANK_ACCOUNT)
    shown = repr([*bodies, *(body.command() for body in bodies)])
    assert NUMBER not in shown
    assert "737" not in shown
    assert IBAN not in shown


# --- cards ----------------------------------------------------------------------------------------------------------


def test_linking_a_card(world: World) -> None:
    linked = link(world)
    body = json.loads(linked.answer.body)
    assert body == {
        "id": body["id"],
        "brand": "visa",
        "last4": "4242",
        "exp_month": 11,
        "exp_year": 2026,
        "holder_name": "Ada Lovelace",
    }
    assert linked.answer.location == f"/v1/cards/{body['id']}"
    assert [card.id for card in world.instruments.page(Card, ADA, None, 10).items] == [body["id"]]
    assert world.instruments.page(Card, BOB, None, 10).items == []


def test_neither_number_nor_cvv_nor_iban_is_in_the_table(world: World) -> None:
    link(world, key=KEY, cvv="7391")
    link_bank(world, key=replace(KEY, scope="other"))
    text = repr(world.table.items()) + repr(world.table.changes)
    assert "4242" in text
    assert NUMBER not in text
    assert NUMBER[:-4] not in text
    assert "7391" not in text
    assert IBAN not in text
    assert IBAN[4:-4] not in text


@pytest.mark.parametrize("user", [ADA, BOB])
def test_a_card_is_linked_once_across_all_users(world: World, user: str) -> None:
    link(world)
    refused("card_already_linked", lambda: link(world, user))
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1
    assert world.instruments.page(Card, BOB, None, 10).items == []


def test_of_two_users_who_link_a_card_concurrently_one_succeeds(world: World) -> None:
    once(world.table, "transact", "before", lambda: link(world, BOB))
    refused("card_already_linked", lambda: link(world))
    assert world.instruments.page(Card, ADA, None, 10).items == []
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_an_unlinked_card_can_be_linked_again(world: World) -> None:
    world.instruments.unlink(Card, ADA, id_of(link(world)))
    assert [item for item in world.table.items() if item["pk"].startswith("F#")] == []
    link(world, BOB)
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_a_user_can_not_unlink_the_card_of_another(world: World) -> None:
    card_id = id_of(link(world))
    for user, wanted in ((BOB, card_id), (ADA, "crd_01K0000000000000000000000A")):
        refused("not_found", partial(world.instruments.unlink, Card, user, wanted))
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_card_that_another_user_linked_meanwhile_stays_linked(world: World) -> None:
    card_id = id_of(link(world))

    def overtake() -> None:
        world.instruments.unlink(Card, ADA, card_id)
        link(world, BOB)

    once(world.table, "transact", "before", overtake)
    refused("not_found", lambda: world.instruments.unlink(Card, ADA, card_id))
    with pytest.raises(Refusal):
        link(world)
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_an_expired_card_is_refused(world: World) -> None:
    with pytest.raises(Refusal) as refusal:
        link(world, exp_month=10)
    assert refusal.value.code == "validation_failed"
    assert refusal.value.errors[0].pointer == "/exp_year"
    assert world.table.items() == []


def test_a_key_replays_the_answer_even_if_the_card_has_expired_or_was_unlinked(world: World) -> None:
    first = link(world, key=KEY)
    assert link(world, key=KEY) == KeyedAnswer(first.answer, replayed=True)
    world.instruments.unlink(Card, ADA, id_of(first))
    assert link(world, key=KEY) == KeyedAnswer(first.answer, replayed=True)
    world.clock.advance(days=30)
    assert link(world, key=KEY) == KeyedAnswer(first.answer, replayed=True)
    refused("validation_failed", lambda: link(world, key=replace(KEY, scope="fresh")))
    assert world.instruments.page(Card, ADA, None, 10).items == []


@pytest.mark.parametrize("days", [0, 30])
def test_a_key_with_another_card_is_refused(world: World, days: int) -> None:
    link(world, key=KEY)
    world.clock.advance(days=days)
    refused(
        "idempotency_key_reused",
        lambda: link(world, key=replace(KEY, fingerprints=("other",)), number="5555555555554444"),
    )
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_two_concurrent_requests_with_one_key_link_one_card(world: World) -> None:
    other: list[KeyedAnswer] = []
    once(world.table, "transact", "before", lambda: other.append(link(world, key=KEY)))
    assert link(world, key=KEY) == KeyedAnswer(other[0].answer, replayed=True)
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_key_that_is_being_written_wins_over_a_linked_card(world: World) -> None:
    first: list[KeyedAnswer] = []

    def overtake(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            first.append(link(world, key=KEY))
            # The writes of the other request become visible one by one: the card is linked, the key not yet written.
            raise Conflict(2)

    world.table.hook = overtake
    assert link(world, key=KEY) == KeyedAnswer(first[0].answer, replayed=True)
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_key_that_keeps_being_written_is_contended(world: World) -> None:
    def conflict(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            raise Conflict(2)

    link(world, BOB)
    world.table.hook = conflict
    with pytest.raises(Contended):
        link(world, key=KEY)
    assert world.instruments.page(Card, ADA, None, 10).items == []


def test_a_refusal_leaves_the_key_free(world: World) -> None:
    card_id = id_of(link(world, BOB))
    with pytest.raises(Refusal):
        link(world, key=KEY)
    world.instruments.unlink(Card, BOB, card_id)
    assert not link(world, key=KEY).replayed


def test_the_key_replays_an_answer_that_was_lost(world: World) -> None:
    once(world.table, "transact", "after", crash)
    with pytest.raises(Crash):
        link(world, key=KEY)
    assert link(world, key=KEY).replayed
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_pages_of_cards_hold_nothing_but_cards(world: World) -> None:
    link_bank(world)
    world.open(ADA)
    numbers = ["4242424242424242", "5555555555554444", "378282246310005"]
    linked = [id_of(link(world, number=number)) for number in numbers]
    page = world.instruments.page(Card, ADA, None, 2)
    rest = world.instruments.page(Card, ADA, page.next_position, 2)
    assert [card.id for card in page.items + rest.items] == linked[::-1]
    assert rest.next_position is None


# --- caps and refusals ------------------------------------------------------------------------------------------------


def numbered(number: int) -> str:
    payload = f"42424242{number:07}"
    return payload + luhn.calc_check_digit(payload)


def attempted(act: Callable[[], object]) -> str:
    """The code of the refusal, "" if there is none."""
    try:
        act()
    except Refusal as refusal:
        return refusal.code
    return ""


def refusals(world: World) -> int:
    return sum(item["count"] for item in world.table.items() if item["sk"].startswith("R#"))


def test_a_user_has_at_most_ten_cards_and_ten_bank_accounts(world: World) -> None:
    cards = [id_of(link(world, number=numbered(number))) for number in range(10)]
    for _ in range(10):
        link_bank(world)
    refused("limit_reached", lambda: link(world), world)
    refused("limit_reached", lambda: link_bank(world), world)
    assert link(world, BOB).answer.status == 201
    world.instruments.unlink(Card, ADA, cards[4])
    link(world, number=numbered(10))
    refused("limit_reached", lambda: link(world, number=numbered(11)), world)


@pytest.mark.parametrize("kind", [Card, BankAccount])
def test_concurrent_requests_link_no_more_than_ten(world: World, kind: Any) -> None:
    def one(number: int) -> str:
        return attempted(lambda: link(world, number=numbered(number)) if kind is Card else link_bank(world))

    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(one, range(16)))
    assert codes == {"": 10, "limit_reached": 6}
    assert len(world.instruments.page(kind, ADA, None, 100).items) == 10


@pytest.mark.parametrize("kind", [Card, BankAccount])
def test_what_is_linked_meanwhile_counts(world: World, kind: Any) -> None:
    def one(number: int) -> str:
        return attempted(lambda: link(world, number=numbered(number)) if kind is Card else link_bank(world))

    assert [one(number) for number in range(9)] == [""] * 9
    once(world.table, "transact", "before", lambda: one(10))
    assert one(11) == "limit_reached"
    assert len(world.instruments.page(kind, ADA, None, 100).items) == 10


def test_the_cap_comes_before_the_check_of_the_card_and_after_a_replay(world: World) -> None:
    for number in range(9):
        link(world, number=numbered(number))
    first = link(world, key=KEY)
    assert link(world, key=KEY) == KeyedAnswer(first.answer, replayed=True)
    refused("limit_reached", lambda: link(world, cvv="000"), world)
    assert refusals(world) == 0


def test_a_key_replays_even_if_the_first_request_took_the_last_place_meanwhile(world: World) -> None:
    for number in range(9):
        link(world, number=numbered(number))
    once(world.table, "transact", "before", lambda: link(world, key=KEY))
    assert link(world, key=KEY).replayed
    assert len(world.instruments.page(Card, ADA, None, 100).items) == 10


@pytest.mark.parametrize("linked_by", [None, ADA, BOB])
def test_a_card_that_fails_the_check_is_declined_whether_or_not_it_is_linked(
    world: World, linked_by: str | None
) -> None:
    if linked_by:
        link(world, linked_by)
    before = [item for item in world.table.items() if not item["sk"].startswith("R#")]
    refused("card_declined", lambda: link(world, cvv="000", key=KEY))
    assert [item for item in world.table.items() if not item["sk"].startswith("R#")] == before
    assert refusals(world) == 1
    # The key is free.
    if not linked_by:
        assert not link(world, key=KEY).replayed


def test_after_five_refusals_in_an_hour_no_card_is_linked(world: World) -> None:
    link(world, BOB)
    world.clock.advance(minutes=20, seconds=-0.5)
    codes = [attempted(lambda: link(world, cvv="000")) for _ in range(3)] + [attempted(lambda: link(world))] * 2
    assert codes == ["card_declined"] * 3 + ["card_already_linked"] * 2
    assert refusals(world) == 4
    assert attempted(lambda: link(world)) == "card_already_linked"
    attempts: list[dict[str, Any]] = [{}, {"cvv": "000"}, {"number": numbered(1)}]
    for fields in attempts:
        with pytest.raises(Refusal) as refusal:
            link(world, **fields)
        assert refusal.value.code == "rate_limited"
        assert refusal.value.retry_after is not None
        assert 590 < refusal.value.retry_after <= 601
    assert refusals(world) == 5
    assert link_bank(world).answer.status == 201
    assert link(world, "usr_01K0000000000000000000000C", number=numbered(2)).answer.status == 201
    world.clock.advance(minutes=10, seconds=1)
    assert link(world, number=numbered(1)).answer.status == 201


def test_concurrent_refusals_are_answered_five_times(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(lambda _: attempted(lambda: link(world, cvv="000")), range(24)))
    assert codes == {"card_declined": 5, "rate_limited": 19}


def test_a_right_guess_among_concurrent_ones_is_locked_out_too(world: World) -> None:
    def overtake() -> None:
        for _ in range(5):
            assert attempted(lambda: link(world, cvv="000")) == "card_declined"

    once(world.table, "transact", "before", overtake)
    assert attempted(lambda: link(world)) == "rate_limited"
    assert world.instruments.page(Card, ADA, None, 10).items == []


def test_the_count_of_refusals_expires(world: World) -> None:
    assert attempted(lambda: link(world, cvv="000")) == "card_declined"
    (item,) = world.table.items()
    assert item["expires_at"] == datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()


# --- rotation ---------------------------------------------------------------------------------------------------------


def test_a_card_is_linked_once_under_every_version_of_the_key(world: World) -> None:
    card_id = id_of(link(world))
    world.keys["2"] = b"a new key"
    refused("card_already_linked", lambda: link(world, BOB))
    world.instruments.unlink(Card, ADA, card_id)
    card_id = id_of(link(world))
    reserved = sorted(item["pk"][:4] for item in world.table.items() if item["pk"].startswith("F#"))
    assert reserved == ["F#1:", "F#2:"]
    # A process that has not read the new version yet.
    del world.keys["2"]
    refused("card_already_linked", lambda: link(world, BOB))
    world.instruments.unlink(Card, ADA, card_id)
    assert [item for item in world.table.items() if item["pk"].startswith("F#")] == []


# --- bank accounts --------------------------------------------------------------------------------------------------


def test_linking_a_bank_account(world: World) -> None:
    linked = link_bank(world, iban="DE89 3704 0044 0532 0130 00")
    body = json.loads(linked.answer.body)
    bank = {
        "id": "hanse-bank",
        "name": "Hanse Bank",
        "country": "DE",
        "logo_url": "https://assets.remit.example/banks/hanse-bank.svg",
    }
    assert body == {"id": body["id"], "bank": bank, "iban_last4": "3000", "holder_name": "Ada Lovelace"}
    assert linked.answer.location == f"/v1/bank-accounts/{body['id']}"
    assert [each.id for each in world.instruments.page(BankAccount, ADA, None, 10).items] == [body["id"]]


def test_an_iban_has_one_digest_however_it_is_written(world: World) -> None:
    link_bank(world)
    link_bank(world, BOB, iban="de89 3704 0044 0532 0130 00")
    linked = [item for item in world.table.items() if "fingerprints" in item]
    assert (len(linked), len({tuple(item["fingerprints"]) for item in linked})) == (2, 1)


def test_a_key_links_one_bank_account(world: World) -> None:
    other: list[KeyedAnswer] = []
    once(world.table, "transact", "before", lambda: other.append(link_bank(world, key=KEY)))
    assert link_bank(world, key=KEY) == KeyedAnswer(other[0].answer, replayed=True)
    refused("idempotency_key_reused", lambda: link_bank(world, key=replace(KEY, fingerprints=("other",))))
    assert len(world.instruments.page(BankAccount, ADA, None, 10).items) == 1


def test_unlinking_a_bank_account(world: World) -> None:
    bank_account_id = id_of(link_bank(world))
    refused("not_found", lambda: world.instruments.unlink(BankAccount, BOB, bank_account_id))
    world.instruments.unlink(BankAccount, ADA, bank_account_id)
    assert [item["sk"] for item in world.table.items()] == ["N#B#"]
    with pytest.raises(Refusal):
        world.instruments.unlink(BankAccount, ADA, bank_account_id)


# --- deleting a user --------------------------------------------------------------------------------------------------


def test_a_user_who_is_being_deleted_links_nothing(world: World) -> None:
    world.accounts.close_all(CloseAccounts(ADA, SYSTEM))
    for use in (link, link_bank):
        refused("unauthenticated", partial(use, world, key=KEY), world)
    assert link(world, BOB).answer.status == 201


def test_a_card_linked_just_before_the_block_is_unlinked_too(world: World) -> None:
    once(world.table, "put", "before", lambda: link(world))
    world.accounts.close_all(CloseAccounts(ADA, SYSTEM))
    world.instruments.forget(ADA)
    assert world.instruments.page(Card, ADA, None, 10).items == []


def test_everything_of_a_deleted_user_is_unlinked_and_can_be_linked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"42424242{number:07}" for number in range(101)]
    numbers = [number + luhn.calc_check_digit(number) for number in numbers]
    # More than may be linked today.
    monkeypatch.setattr("functions.accounts.service.instruments.MAX_LINKED", 200)
    for number in numbers:
        link(world, number=number)
        link_bank(world)
    link_bank(world, BOB)
    for _ in range(2):
        world.instruments.forget(ADA)
    assert {item["pk"] for item in world.table.items()} == {f"U#{BOB}"}
    assert link(world, BOB, number=numbers[0]).answer.status == 201


def test_a_card_that_can_not_be_unlinked_does_not_stop_the_others(world: World) -> None:
    cards = [link(world), link(world, number="5555555555554444")]
    (stray,) = [item for item in world.table.items() if item.get("card_id") == id_of(cards[1])]
    world.table.put({**stray, "card_id": "crd_another"})
    world.instruments.forget(ADA)
    assert [card.id for card in world.instruments.page(Card, ADA, None, 10).items] == [id_of(cards[1])]
