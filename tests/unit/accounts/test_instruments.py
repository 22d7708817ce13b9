import json
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
from tests.support.memory_table import Call, Conflict
from tests.unit.accounts.world import ADA, BOB, Crash, World, crash, once, refused

KEY = IdempotencyKey("scope", "fingerprint")
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
def test_valid_card_numbers_and_their_brands(number: str, brand: str) -> None:
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
def test_invalid_card_numbers(number: str) -> None:
    assert not is_card_number(number)


@given(st.text("0123456789", min_size=12, max_size=18), st.data())
def test_any_wrong_digit_is_detected(payload: str, data: st.DataObject) -> None:
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
    ],
)
def test_valid_ibans_lose_their_spaces(iban: str) -> None:
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
def test_invalid_ibans(iban: str) -> None:
    assert canonical_iban(iban) is None


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
        "idempotency_key_reused", lambda: link(world, key=replace(KEY, fingerprint="other"), number="5555555555554444")
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
    assert len({item["fingerprint"] for item in world.table.items()}) == 1


def test_a_key_links_one_bank_account(world: World) -> None:
    other: list[KeyedAnswer] = []
    once(world.table, "transact", "before", lambda: other.append(link_bank(world, key=KEY)))
    assert link_bank(world, key=KEY) == KeyedAnswer(other[0].answer, replayed=True)
    refused("idempotency_key_reused", lambda: link_bank(world, key=replace(KEY, fingerprint="other")))
    assert len(world.instruments.page(BankAccount, ADA, None, 10).items) == 1


def test_unlinking_a_bank_account(world: World) -> None:
    bank_account_id = id_of(link_bank(world))
    refused("not_found", lambda: world.instruments.unlink(BankAccount, BOB, bank_account_id))
    world.instruments.unlink(BankAccount, ADA, bank_account_id)
    assert world.table.items() == []
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


def test_everything_of_a_deleted_user_is_unlinked_and_can_be_linked_again(world: World) -> None:
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


def test_a_card_that_can_not_be_unlinked_does_not_stop_the_others(world: World) -> None:
    cards = [link(world), link(world, number="5555555555554444")]
    (stray,) = [item for item in world.table.items() if item.get("card_id") == id_of(cards[1])]
    world.table.put({**stray, "card_id": "crd_another"})
    world.instruments.forget(ADA)
    assert [card.id for card in world.instruments.page(Card, ADA, None, 10).items] == [id_of(cards[1])]
