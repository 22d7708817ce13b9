import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from common.dynamo import Contended
from common.errors import Problem
from common.events import SYSTEM
from common.idempotency import Idempotency
from common.tasks import CloseAccounts
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from stdnum import luhn

from functions.accounts.domain.banks import BANKS
from functions.accounts.domain.instruments import (
    BankAccount,
    Card,
    brand_of,
    canonical_iban,
    has_expired,
    is_card_number,
)
from functions.accounts.models.instruments import LinkBankAccount, LinkCard
from functions.accounts.service.instruments import Linked
from tests.support.memory_table import Call, Conflict
from tests.unit.accounts.world import Lost, World, lose, once

ADA = "usr_01K0000000000000000000000A"
BOB = "usr_01K0000000000000000000000B"
KEY = Idempotency("scope", "fingerprint")
NUMBER = "4242424242424242"
CARD = {"number": NUMBER, "holder_name": "Ada Lovelace", "exp_month": 11, "exp_year": 2026, "cvv": "737"}
IBAN = "DE89370400440532013000"
BANK_ACCOUNT = {"bank_id": "hanse-bank", "iban": IBAN, "holder_name": "Ada Lovelace"}


@pytest.fixture
def world() -> World:
    return World()


def link(world: World, user: str = ADA, key: Idempotency | None = None, **fields: Any) -> Linked:
    world.clock.advance(milliseconds=1)
    return world.instruments.link_card(user, LinkCard.model_validate({**CARD, **fields}), key)


def link_bank(world: World, user: str = ADA, key: Idempotency | None = None, **fields: Any) -> Linked:
    world.clock.advance(milliseconds=1)
    return world.instruments.link_bank_account(user, LinkBankAccount.model_validate({**BANK_ACCOUNT, **fields}), key)


def id_of(linked: Linked) -> str:
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
        ("2721000000000004", "unknown"),
        ("378282246310005", "amex"),
        ("6011111111111117", "discover"),
        ("6221260000000000", "discover"),
        ("6229260000000002", "unionpay"),
        ("30569309025904", "diners"),
        ("3566002020360505", "jcb"),
        ("6205500000000000004", "unionpay"),
        ("6759649826438453", "maestro"),
        ("9999999999999995", "unknown"),
    ],
)
def test_good_numbers_and_their_brands(number: str, brand: str) -> None:
    assert is_card_number(number)
    assert brand_of(number) == brand


@pytest.mark.parametrize(
    "number",
    [
        "",
        "4242424242424241",
        "424242424242",  # 12 digits, with a right check digit
        "42424242424242424242",
        "4242 4242 4242 4242",
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "424242424242424²",
        "4242424242424242\n",
        "-242424242424242",
    ],
)
def test_bad_numbers(number: str) -> None:
    assert not is_card_number(number)


@given(st.text("0123456789", min_size=12, max_size=18), st.data())
def test_any_one_wrong_digit_is_found(payload: str, data: st.DataObject) -> None:
    number = next(payload + check for check in "0123456789" if is_card_number(payload + check))
    position = data.draw(st.integers(0, len(number) - 1))
    digit = data.draw(st.sampled_from([each for each in "0123456789" if each != number[position]]))
    assert not is_card_number(number[:position] + digit + number[position + 1 :])


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC), False),
        (datetime(2026, 12, 1, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), True),
        (datetime(2025, 12, 31, tzinfo=UTC), False),
    ],
)
def test_a_card_is_good_to_the_end_of_its_month(now: datetime, expired: bool) -> None:
    assert has_expired(11, 2026, now) is expired


@pytest.mark.parametrize(
    "iban",
    [
        IBAN,
        "GB82 WEST 1234 5698 7654 32",
        "gb82west12345698765432",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ],
)
def test_good_ibans_are_kept_without_spaces(iban: str) -> None:
    assert canonical_iban(iban) == iban.replace(" ", "").upper()


@pytest.mark.parametrize(
    "iban",
    [
        "",
        "DE",
        "DE88370400440532013000",  # check digits
        "DE8937040044053201300",  # a digit short
        "XX89370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "DE8937040044053201300O",
        "\uff24\uff2589370400440532013000",
        "\x00" * 22,
    ],
)
def test_bad_ibans(iban: str) -> None:
    assert canonical_iban(iban) is None


def test_an_iban_of_the_wrong_length_is_refused_though_its_check_digits_are_right() -> None:
    body = "3704004405320130001"
    check = 98 - int("".join(str(int(each, 36)) for each in body + "DE00")) % 97
    assert canonical_iban(f"DE{check:02}{body}") is None


def test_a_card_of_no_known_brand_still_has_a_name() -> None:
    card = Card("crd_1", "unknown", "9995", 1, 2030, "Ada", "")
    assert card.display_name == "Card 9995"
    assert replace(card, brand="visa", last4="4242").display_name == "Visa 4242"


def test_banks_have_ids_that_stay_and_countries() -> None:
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
def test_what_is_no_card_is_refused(fields: dict[str, object]) -> None:
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
def test_what_is_no_bank_account_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LinkBankAccount.model_validate({**BANK_ACCOUNT, **fields})


def test_bodies_do_not_show_numbers() -> None:
    shown = repr(LinkCard.model_validate(CARD)) + repr(LinkBankAccount.model_validate(BANK_ACCOUNT))
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
def test_a_card_is_linked_once_over_all_users(world: World, user: str) -> None:
    link(world)
    with pytest.raises(Problem) as refused:
        link(world, user)
    assert refused.value.code == "card_already_linked"
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1
    assert world.instruments.page(Card, BOB, None, 10).items == []


def test_of_two_who_link_a_card_at_once_one_has_it(world: World) -> None:
    once(world.table, "before", "transact", lambda: link(world, BOB))
    with pytest.raises(Problem) as refused:
        link(world)
    assert refused.value.code == "card_already_linked"
    assert world.instruments.page(Card, ADA, None, 10).items == []
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_an_unlinked_card_is_free_again(world: World) -> None:
    world.instruments.unlink(Card, ADA, id_of(link(world)))
    assert [item for item in world.table.items() if item["pk"].startswith("F#")] == []
    link(world, BOB)
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_nobody_unlinks_the_card_of_another(world: World) -> None:
    card_id = id_of(link(world))
    for user, wanted in ((BOB, card_id), (ADA, "crd_01K0000000000000000000000A")):
        with pytest.raises(Problem) as refused:
            world.instruments.unlink(Card, user, wanted)
        assert refused.value.code == "not_found"
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_card_unlinked_and_linked_by_another_meanwhile_stays_theirs(world: World) -> None:
    card_id = id_of(link(world))

    def overtake() -> None:
        world.instruments.unlink(Card, ADA, card_id)
        link(world, BOB)

    once(world.table, "before", "transact", overtake)
    with pytest.raises(Problem) as refused:
        world.instruments.unlink(Card, ADA, card_id)
    assert refused.value.code == "not_found"
    with pytest.raises(Problem):
        link(world)
    assert len(world.instruments.page(Card, BOB, None, 10).items) == 1


def test_an_expired_card_is_refused(world: World) -> None:
    with pytest.raises(Problem) as refused:
        link(world, exp_month=10)
    assert refused.value.code == "validation_failed"
    assert refused.value.errors[0].pointer == "/exp_year"
    assert world.table.items() == []


def test_a_key_replays_a_card_to_the_byte_even_when_it_has_expired_or_gone(world: World) -> None:
    first = link(world, key=KEY)
    assert link(world, key=KEY) == Linked(first.answer, replayed=True)
    world.instruments.unlink(Card, ADA, id_of(first))
    assert link(world, key=KEY) == Linked(first.answer, replayed=True)
    world.clock.advance(days=30)
    assert link(world, key=KEY) == Linked(first.answer, replayed=True)
    with pytest.raises(Problem) as expired:
        link(world, key=replace(KEY, scope="fresh"))
    assert expired.value.code == "validation_failed"
    assert world.instruments.page(Card, ADA, None, 10).items == []


@pytest.mark.parametrize("days", [0, 30])
def test_a_key_with_another_card_is_refused(world: World, days: int) -> None:
    link(world, key=KEY)
    world.clock.advance(days=days)
    with pytest.raises(Problem) as refused:
        link(world, key=replace(KEY, fingerprint="other"), number="5555555555554444")
    assert refused.value.code == "idempotency_key_reused"
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_two_at_once_with_one_key_link_one_card(world: World) -> None:
    other: list[Linked] = []
    once(world.table, "before", "transact", lambda: other.append(link(world, key=KEY)))
    assert link(world, key=KEY) == Linked(other[0].answer, replayed=True)
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_key_that_is_just_being_written_is_the_reason_that_counts(world: World) -> None:
    first: list[Linked] = []

    def overtake(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            first.append(link(world, key=KEY))
            # The other's writes come to light one by one: the card is linked, its key still in the making.
            raise Conflict(2)

    world.table.hook = overtake
    assert link(world, key=KEY) == Linked(first[0].answer, replayed=True)
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_a_key_that_stays_in_the_making_is_no_answer(world: World) -> None:
    def conflict(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            raise Conflict(2)

    link(world, BOB)
    world.table.hook = conflict
    with pytest.raises(Contended):
        link(world, key=KEY)
    assert world.instruments.page(Card, ADA, None, 10).items == []


def test_a_refused_card_leaves_its_key_free(world: World) -> None:
    card_id = id_of(link(world, BOB))
    with pytest.raises(Problem):
        link(world, key=KEY)
    world.instruments.unlink(Card, BOB, card_id)
    assert not link(world, key=KEY).replayed


def test_after_a_lost_reply_the_key_has_the_answer(world: World) -> None:
    once(world.table, "after", "transact", lose)
    with pytest.raises(Lost):
        link(world, key=KEY)
    assert link(world, key=KEY).replayed
    assert len(world.instruments.page(Card, ADA, None, 10).items) == 1


def test_pages_of_cards_stop_where_other_items_begin(world: World) -> None:
    link_bank(world)
    world.open(ADA)
    numbers = ["4242424242424242", "5555555555554444", "378282246310005"]
    linked = [id_of(link(world, number=number)) for number in numbers]
    page = world.instruments.page(Card, ADA, None, 2)
    rest = world.instruments.page(Card, ADA, page.next_position, 2)
    assert [card.id for card in page.items + rest.items] == linked[::-1]
    assert rest.next_position is None


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


def test_the_same_iban_gives_the_same_digest_however_it_is_written(world: World) -> None:
    link_bank(world)
    link_bank(world, BOB, iban="de89 3704 0044 0532 0130 00")
    assert len({item["fingerprint"] for item in world.table.items()}) == 1


def test_a_key_links_one_bank_account(world: World) -> None:
    other: list[Linked] = []
    once(world.table, "before", "transact", lambda: other.append(link_bank(world, key=KEY)))
    assert link_bank(world, key=KEY) == Linked(other[0].answer, replayed=True)
    with pytest.raises(Problem) as refused:
        link_bank(world, key=replace(KEY, fingerprint="other"))
    assert refused.value.code == "idempotency_key_reused"
    assert len(world.instruments.page(BankAccount, ADA, None, 10).items) == 1


def test_unlinking_a_bank_account(world: World) -> None:
    bank_account_id = id_of(link_bank(world))
    with pytest.raises(Problem) as refused:
        world.instruments.unlink(BankAccount, BOB, bank_account_id)
    assert refused.value.code == "not_found"
    world.instruments.unlink(BankAccount, ADA, bank_account_id)
    assert world.table.items() == []
    with pytest.raises(Problem):
        world.instruments.unlink(BankAccount, ADA, bank_account_id)


# --- a user who leaves ------------------------------------------------------------------------------------------------


def test_who_leaves_links_nothing_any_more(world: World) -> None:
    world.accounts.close_all(CloseAccounts(ADA, SYSTEM))
    before = world.table.items()
    for use in (link, link_bank):
        with pytest.raises(Problem) as refused:
            use(world, key=KEY)
        assert refused.value.code == "unauthenticated"
    assert world.table.items() == before
    assert link(world, BOB).answer.status == 201


def test_what_is_linked_at_the_last_moment_is_forgotten_too(world: World) -> None:
    once(world.table, "before", "put", lambda: link(world))
    world.accounts.close_all(CloseAccounts(ADA, SYSTEM))
    world.instruments.forget(ADA)
    assert world.instruments.page(Card, ADA, None, 10).items == []


def test_everything_of_one_who_has_left_is_forgotten_and_can_be_linked_again(world: World) -> None:
    numbers = [f"42424242{number:07}" for number in range(101)]
    numbers = [number + luhn.calc_check_digit(number) for number in numbers]
    for number in numbers:
        link(world, number=number)
        link_bank(world)
    link_bank(world, BOB)
    for _ in range(2):
        world.instruments.forget(ADA)
    assert [item["pk"] for item in world.table.items()] == [f"U#{BOB}"]
    assert link(world, BOB, number=numbers[0]).answer.status == 201


def test_a_card_that_cannot_be_unlinked_does_not_keep_the_rest(world: World) -> None:
    cards = [link(world), link(world, number="5555555555554444")]
    (stray,) = [item for item in world.table.items() if item.get("card_id") == id_of(cards[1])]
    world.table.put({**stray, "card_id": "crd_another"})
    world.instruments.forget(ADA)
    assert [card.id for card in world.instruments.page(Card, ADA, None, 10).items] == [id_of(cards[1])]
