import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from common.contracts.events import Actor
from common.errors import Contended, Refusal
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer
from pydantic import ValidationError

from functions.accounts.models.accounts import AccountResource, OpenAccount
from tests.support.memory_table import Call
from tests.unit.accounts.world import ADA, BOB, NOBODYS_ACCOUNT, Crash, World, crash, once, refused

KEY = IdempotencyKey("scope", ("fingerprint",))
ACTOR = Actor(ADA, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")


def open_(world: World, owner: str = ADA, key: IdempotencyKey | None = None, **fields: object) -> KeyedAnswer:
    world.clock.advance(milliseconds=1)
    wanted = OpenAccount.model_validate({"currency": "USD", **fields}).command()
    return world.accounts.open(owner, wanted, key, ACTOR, is_admin=False)


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
        "low_balance_alert": None,
        "pin_set": False,
        "created_at": world.now(),
    }
    found = world.accounts.get(body["id"], ADA, is_admin=False)
    assert AccountResource.of(found, is_admin=False).model_dump(mode="json") == body


def test_a_new_head_is_as_the_ledger_expects_it(world: World) -> None:
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
def test_an_invalid_account_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OpenAccount.model_validate(fields)


def test_only_the_first_account_of_a_currency_and_owner_is_its_default(world: World) -> None:
    opened = [open_(world), open_(world), open_(world, currency="EUR"), open_(world, BOB)]
    assert [json.loads(each.answer.body)["default"] for each in opened] == [True, False, True, True]


def test_of_two_first_accounts_opened_at_once_exactly_one_is_the_default(world: World) -> None:
    other: list[KeyedAnswer] = []
    once(world.table, "transact", "before", lambda: other.append(open_(world)))
    mine = open_(world)
    assert json.loads(other[0].answer.body)["default"] is True
    assert json.loads(mine.answer.body)["default"] is False
    listed = world.accounts.page(ADA, None, 10).items
    assert sorted(view.is_default for view in listed) == [False, True]


def test_a_new_account_is_the_default_if_the_former_default_closes_meanwhile(world: World) -> None:
    open_(world)
    once(world.table, "transact", "before", lambda: world.table.delete((f"U#{ADA}", "D#USD")))
    assert json.loads(open_(world).answer.body)["default"] is True


def test_a_default_that_keeps_changing_is_contended_and_nothing_is_opened(world: World) -> None:
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
    with pytest.raises(Contended):
        open_(world)
    assert heads(world) == []


def test_a_key_opens_one_account_and_replays_its_answer(world: World) -> None:
    first = open_(world, key=KEY)
    open_(world, BOB)
    again = open_(world, key=KEY)
    assert not first.replayed
    assert again == KeyedAnswer(first.answer, replayed=True)
    assert len(heads(world)) == 2


def test_a_key_with_another_body_is_refused_and_opens_nothing(world: World) -> None:
    open_(world, key=KEY)
    refused("idempotency_key_reused", lambda: open_(world, key=replace(KEY, fingerprints=("other",)), currency="EUR"))
    assert len(heads(world)) == 1


def test_two_concurrent_requests_with_one_key_open_one_account(world: World) -> None:
    other: list[KeyedAnswer] = []
    once(world.table, "transact", "before", lambda: other.append(open_(world, key=KEY)))
    mine = open_(world, key=KEY)
    assert mine == KeyedAnswer(other[0].answer, replayed=True)
    assert len(heads(world)) == 1
    assert len(world.accounts.page(ADA, None, 10).items) == 1


def test_the_key_replays_an_answer_that_was_lost(world: World) -> None:
    once(world.table, "transact", "after", crash)
    with pytest.raises(Crash):
        open_(world, key=KEY)
    again = open_(world, key=KEY)
    assert again.replayed
    assert json.loads(again.answer.body)["id"] == heads(world)[0]["account_id"]


@pytest.mark.parametrize("key", [None, KEY])
def test_an_attempt_whose_reply_was_lost_is_not_refused(world: World, key: IdempotencyKey | None) -> None:
    # The client of the table lost a reply and retried, so that it finds its own items.
    store = world.accounts._store
    genuine = store.open

    def twice(*args: object, **options: object) -> Answer:
        genuine(*args, **options)  # type: ignore[arg-type]
        return genuine(*args, **options)  # type: ignore[arg-type]

    store.open = twice  # type: ignore[method-assign]
    opened = open_(world, key=key)
    assert not opened.replayed
    assert json.loads(opened.answer.body)["default"] is True
    assert len(heads(world)) == 1


def test_only_the_owner_and_admins_see_an_account(world: World) -> None:
    account_id = world.open(ADA)
    assert world.accounts.get(account_id, BOB, is_admin=True).account.owner_id == ADA
    for caller, wanted in ((BOB, account_id), (ADA, NOBODYS_ACCOUNT)):
        refused("not_found", partial(world.accounts.get, wanted, caller, is_admin=False))


def test_pages_are_complete_and_newest_first(world: World) -> None:
    mine = [world.open(ADA, currency) for currency in ("USD", "USD", "EUR", "JPY", "JPY")]
    world.open(BOB)
    pages, position = [], None
    while True:
        page = world.accounts.page(ADA, position, 2)
        pages.append([(view.account.id, view.is_default) for view in page.items])
        position = page.next_position
        if position is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [account_id for page in pages for account_id, _ in page] == mine[::-1]
    assert {account_id for page in pages for account_id, default in page if default} == {mine[0], mine[2], mine[3]}
    assert world.accounts.page("usr_01K0000000000000000000000C", None, 2) == ([], None)


def test_a_page_of_a_hundred_is_read_in_one_batch(world: World) -> None:
    for _ in range(101):
        # A user has at most 20 open accounts, and any number of closed ones.
        world.set_status(world.open(ADA), "closed")
    page = world.accounts.page(ADA, None, 100)
    assert len(page.items) == 100
    assert all(newer.account.id > older.account.id for newer, older in pairwise(page.items))
    assert len(world.accounts.page(ADA, page.next_position, 100).items) == 1


# --- the cap ----------------------------------------------------------------------------------------------------------


def test_a_user_has_at_most_twenty_open_accounts(world: World) -> None:
    accounts = [world.open(ADA, currency) for currency in ("USD", "EUR") * 10]
    refused("limit_reached", lambda: open_(world), world)
    world.set_status(accounts[0], "frozen")
    refused("limit_reached", lambda: open_(world, currency="GBP"), world)
    assert open_(world, BOB).answer.status == 201
    world.accounts.close(accounts[1], ADA, ACTOR, is_admin=False)
    assert open_(world).answer.status == 201
    refused("limit_reached", lambda: open_(world), world)


def test_concurrent_requests_open_no_more_than_twenty_accounts(world: World) -> None:
    for _ in range(18):
        world.open(ADA)
    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(lambda _: attempted(lambda: open_(world)), range(8)))
    assert codes == {"": 2, "limit_reached": 6}
    assert len(heads(world)) == 20


def test_an_account_that_is_opened_meanwhile_counts(world: World) -> None:
    for _ in range(19):
        world.open(ADA)
    once(world.table, "transact", "before", lambda: open_(world))
    refused("limit_reached", lambda: open_(world))
    assert len(heads(world)) == 20


def test_a_key_replays_the_answer_of_the_twentieth_account(world: World) -> None:
    for _ in range(19):
        world.open(ADA)
    first = open_(world, key=KEY)
    assert open_(world, key=KEY) == KeyedAnswer(first.answer, replayed=True)
    refused("idempotency_key_reused", lambda: open_(world, key=replace(KEY, fingerprints=("other",))), world)


def test_accounts_from_before_openings_were_counted_count(world: World) -> None:
    for _ in range(20):
        world.open(ADA)
    world.table.delete((f"U#{ADA}", "N#A#"))
    refused("limit_reached", lambda: open_(world), world)


def attempted(act: Callable[[], object]) -> str:
    """The code of the refusal, "" if there is none."""
    try:
        act()
    except Refusal as refusal:
        return refusal.code
    return ""
