import json
from dataclasses import replace
from itertools import pairwise

import pytest
from common.errors import Problem
from common.events import Actor
from common.idempotency import Answer, Idempotency
from pydantic import ValidationError

from functions.accounts.models.accounts import OpenAccount
from functions.accounts.service.accounts import Opened
from tests.support.memory_table import Call
from tests.unit.accounts.world import Lost, World, lose, once

ADA = "usr_01K0000000000000000000000A"
BOB = "usr_01K0000000000000000000000B"
KEY = Idempotency("scope", "fingerprint")
ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")


@pytest.fixture
def world() -> World:
    return World()


def open_(world: World, owner: str = ADA, key: Idempotency | None = None, **fields: object) -> Opened:
    world.clock.advance(milliseconds=1)
    return world.accounts.open(owner, OpenAccount.model_validate({"currency": "USD", **fields}), key, ACTOR)


def heads(world: World) -> list[dict[str, object]]:
    return [item for item in world.table.items() if item["pk"].startswith("A#")]


def test_a_new_account_is_empty_and_the_default_of_its_currency(world: World) -> None:
    answer = open_(world).answer
    body = json.loads(answer.body)
    assert answer.status == 201
    assert answer.location == f"/v1/accounts/{body['id']}"
    assert body == {
        "id": body["id"],
        "owner_id": ADA,
        "name": "USD account",
        "type": "debit",
        "currency": "USD",
        "status": "active",
        "default": True,
        "posted": 0,
        "held": 0,
        "available": 0,
        "credit_limit": 0,
        "pin_set": False,
        "created_at": world.now(),
    }
    assert world.accounts.get(body["id"], ADA, is_admin=False).model_dump(mode="json") == body


def test_the_head_is_as_the_ledger_expects_it(world: World) -> None:
    body = json.loads(open_(world, type="credit", name=" Travel ").answer.body)
    (head,) = heads(world)
    outbox = json.loads(str(head.pop("outbox")))
    assert head == {
        "pk": f"A#{body['id']}",
        "sk": "H",
        "account_id": body["id"],
        "owner_id": ADA,
        "name": "Travel",
        "type": "credit",
        "currency": "USD",
        "status": "active",
        "posted": 0,
        "held": 0,
        "available": 0,
        "credit_limit": 0,
        "version": 0,
        "line_at": "",
        "created_at": world.now(),
    }
    (event,) = outbox
    assert (event["type"], event["subject"], event["sequence"]) == ("account.opened", body["id"], 0)
    assert event["actor"]["user_id"] == ADA
    assert event["data"] == {
        "account_id": body["id"],
        "owner_id": ADA,
        "currency": "USD",
        "type": "credit",
        "name": "Travel",
        "status": "active",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"currency": "usd"},
        {"currency": "XAU"},
        {"currency": 840},
        {"currency": "USD", "type": "savings"},
        {"currency": "USD", "name": " "},
        {"currency": "USD", "posted": 100},
        {"currency": "USD", "owner_id": BOB},
        {"currency": "USD", "credit_limit": 100},
    ],
)
def test_what_is_no_account_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OpenAccount.model_validate(fields)


def test_only_the_first_account_of_a_currency_and_owner_is_its_default(world: World) -> None:
    opened = [open_(world), open_(world), open_(world, currency="EUR"), open_(world, BOB)]
    assert [json.loads(each.answer.body)["default"] for each in opened] == [True, False, True, True]


def test_of_two_first_accounts_opened_at_once_exactly_one_is_the_default(world: World) -> None:
    other: list[Opened] = []
    once(world.table, "before", "transact", lambda: other.append(open_(world)))
    mine = open_(world)
    assert json.loads(other[0].answer.body)["default"] is True
    assert json.loads(mine.answer.body)["default"] is False
    listed = world.accounts.page(ADA, None, 10).items
    assert sorted(account.default for account in listed) == [False, True]


def test_a_default_that_goes_away_meanwhile_makes_the_new_account_the_default(world: World) -> None:
    open_(world)
    once(world.table, "before", "transact", lambda: world.table.delete((f"U#{ADA}", "D#USD")))
    assert json.loads(open_(world).answer.body)["default"] is True


def test_a_default_that_keeps_changing_is_given_up_without_effect(world: World) -> None:
    def toggle(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            key = (f"U#{ADA}", "D#USD")
            if world.table.get(key):
                world.table.delete(key)
            else:
                world.table.put({"pk": key[0], "sk": key[1], "account_id": "acc_x"})
            world.table.hook = toggle

    world.table.hook = toggle
    with pytest.raises(Problem) as refused:
        open_(world)
    assert refused.value.code == "unavailable"
    assert heads(world) == []


def test_a_key_replays_to_the_byte_and_opens_once(world: World) -> None:
    first = open_(world, key=KEY)
    open_(world, BOB)
    again = open_(world, key=KEY)
    assert not first.replayed
    assert again == Opened(first.answer, replayed=True)
    assert len(heads(world)) == 2


def test_a_key_with_another_body_is_refused_and_opens_nothing(world: World) -> None:
    open_(world, key=KEY)
    with pytest.raises(Problem) as refused:
        open_(world, key=replace(KEY, fingerprint="other"), currency="EUR")
    assert refused.value.code == "idempotency_key_reused"
    assert len(heads(world)) == 1


def test_two_at_once_with_one_key_open_one_account(world: World) -> None:
    other: list[Opened] = []
    once(world.table, "before", "transact", lambda: other.append(open_(world, key=KEY)))
    mine = open_(world, key=KEY)
    assert mine == Opened(other[0].answer, replayed=True)
    assert len(heads(world)) == 1
    assert len(world.accounts.page(ADA, None, 10).items) == 1


def test_a_client_that_lost_the_reply_gets_it_from_the_key(world: World) -> None:
    once(world.table, "after", "transact", lose)
    with pytest.raises(Lost):
        open_(world, key=KEY)
    again = open_(world, key=KEY)
    assert again.replayed
    assert json.loads(again.answer.body)["id"] == heads(world)[0]["account_id"]


@pytest.mark.parametrize("key", [None, KEY])
def test_a_try_that_took_effect_unseen_is_not_a_refusal(world: World, key: Idempotency | None) -> None:
    # The table's client lost a reply and tried again under a fresh token: it meets its own items.
    store = world.accounts._store
    genuine = store.open

    def twice(*args: object, **options: object) -> Answer | None:
        genuine(*args, **options)  # type: ignore[arg-type]
        return genuine(*args, **options)  # type: ignore[arg-type]

    store.open = twice  # type: ignore[method-assign]
    opened = open_(world, key=key)
    assert not opened.replayed
    assert json.loads(opened.answer.body)["default"] is True
    assert len(heads(world)) == 1


def test_only_the_owner_and_admins_see_an_account(world: World) -> None:
    account_id = world.open(ADA)
    assert world.accounts.get(account_id, BOB, is_admin=True).owner_id == ADA
    for caller, wanted in ((BOB, account_id), (ADA, "acc_01K0000000000000000000000A")):
        with pytest.raises(Problem) as refused:
            world.accounts.get(wanted, caller, is_admin=False)
        assert refused.value.code == "not_found"


def test_pages_are_whole_newest_first_and_ones_own(world: World) -> None:
    mine = [world.open(ADA, currency) for currency in ("USD", "USD", "EUR", "JPY", "JPY")]
    world.open(BOB)
    pages, position = [], None
    while True:
        page = world.accounts.page(ADA, position, 2)
        pages.append([(account.id, account.default) for account in page.items])
        position = page.next_position
        if position is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [account_id for page in pages for account_id, _ in page] == mine[::-1]
    assert {account_id for page in pages for account_id, default in page if default} == {mine[0], mine[2], mine[3]}
    assert world.accounts.page("usr_01K0000000000000000000000C", None, 2) == ([], None)


def test_a_page_of_a_hundred_is_read_in_one_batch(world: World) -> None:
    for _ in range(101):
        world.open(ADA)
    page = world.accounts.page(ADA, None, 100)
    assert len(page.items) == 100
    assert all(newer.id > older.id for newer, older in pairwise(page.items))
    assert len(world.accounts.page(ADA, page.next_position, 100).items) == 1
