"""Clocks have passed: whatever died in the storm has been finished, once, and everyone was told, once."""

from collections import Counter

import pytest

from tests.e2e.client import Client, Person, expect, until
from tests.e2e.storm import AMOUNT, CASES, STRANDED, Case, Storm, register
from tests.e2e.world import World

# A deposit is due after 120 s, a message comes again after 90 s, a mail's claim lapses after 60 s, recovery runs every
# minute: this is how long the last of them may still take by now.
PATIENCE = 200
TRANSFERS = [case for case in CASES if case.path == "transfer"]
DEPOSITS = [case for case in CASES if case.path == "deposit"]
REGISTRATIONS = [case for case in CASES if case.path == "register"]


@pytest.fixture(scope="module", autouse=True)
def recovered(world: World) -> None:
    """Whatever was left behind is past its time, and recovery has started it again: now, rather than in a minute."""

    def nothing_is_pending() -> bool:
        world.invoke("transfers-recover")
        return not any(item["status"] == "pending" for item in world.scan("transfers") if item["sk"] == "R")

    until(nothing_is_pending, seconds=PATIENCE, what="no transfer is pending any more")


def by_key(person: Person, key: str) -> dict[str, object]:
    found = person.get("/transfers", idempotency_key=key)["data"]
    assert len(found) <= 1
    return dict(found[0]) if found else {}


@pytest.mark.parametrize("case", [*TRANSFERS, *DEPOSITS], ids=lambda case: case.id)
def test_the_clients_retry_finds_one_transfer_completed(storm: Storm, case: Case) -> None:
    outcome = storm.outcomes[case.id]
    sender, again = (storm.ada, storm.transfer) if case.path == "transfer" else (storm.bob, storm.deposit)
    recorded = by_key(sender, outcome.key)
    if not recorded:  # it died before anything was written, and the client tries again
        assert outcome.answer is not None
        assert outcome.answer.status == 503
        again(outcome)
    until(lambda: by_key(sender, outcome.key).get("status", "pending") != "pending", what=f"{case.id} ends")
    assert by_key(sender, outcome.key)["status"] == "completed"
    first = outcome.answer
    again(outcome)
    assert outcome.answer is not None
    assert outcome.answer.status in (201, 202)
    assert outcome.answer.json["id"] == by_key(sender, outcome.key)["id"]
    if recorded and first is not None and first.status != 503:
        assert outcome.answer.content == first.content
        assert outcome.answer.header("idempotent-replayed") == "true"


def test_the_stranded_are_home(storm: Storm) -> None:
    def statuses() -> set[object]:
        return {by_key(storm.ada, key)["status"] for key in storm.stranded}

    until(lambda: statuses() == {"completed"}, seconds=PATIENCE, what="recovery has come")


def test_every_transfer_moved_its_money_once(storm: Storm) -> None:
    """After the tests above every case is one completed transfer."""
    sent, brought = len(TRANSFERS) + STRANDED, len(DEPOSITS)
    assert storm.ada.balance() == 100_000 - sent * AMOUNT
    assert storm.bob.balance() == (sent + brought) * AMOUNT
    kinds = Counter((each["kind"], each["status"]) for each in storm.bob.pages("/transfers", limit=100))
    assert kinds == {("transfer", "completed"): sent, ("deposit", "completed"): brought}


def test_everyone_was_told_once(storm: Storm) -> None:
    sent, brought = len(TRANSFERS) + STRANDED, len(DEPOSITS)

    def told(person: Person) -> Counter[str]:
        return Counter(each["kind"] for each in person.pages("/notifications", limit=100))

    wanted = Counter(transfer_received=sent, deposit_completed=brought)
    until(lambda: told(storm.bob) == wanted, seconds=PATIENCE, what=f"Bob is told {wanted}, not {told(storm.bob)}")
    assert told(storm.ada) == Counter(transfer_sent=sent, deposit_completed=1)


@pytest.mark.parametrize("case", REGISTRATIONS, ids=lambda case: case.id)
def test_who_registered_can_verify_and_sign_in(world: World, storm: Storm, case: Case) -> None:
    person, answer = storm.outcomes[case.id].person, storm.outcomes[case.id].answer
    assert person is not None
    assert answer is not None
    if answer.status == 503 and case.when == "before":
        expect(register(person), 201)  # nothing was written
    else:
        assert expect(register(person), 409)["code"] == "email_taken"
    code = world.code(person, seconds=PATIENCE)
    person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
    assert person.login()["user"]["email_verified"] is True
    assert len(world.mails(person)) <= 3


def test_a_mail_comes_twice_only_where_its_sender_died_before_noting_it(world: World, storm: Storm) -> None:
    """SES can't be asked whether it sent. A fault may strike the case before's mail, so all count together."""
    people = [outcome.person for case in REGISTRATIONS if (outcome := storm.outcomes[case.id]).person]
    moments = (("mail-send", "after"), ("mail-settle", "before"))
    died = [case for case in REGISTRATIONS if (case.step, case.when) in moments]
    assert sum(max(len(world.mails(person)) - 2, 0) for person in people) <= len(died)


def test_a_slow_card_confirms_in_the_end(storm: Storm) -> None:
    deposit = storm.late["slow card"]
    until(lambda: storm.eve.get(f"/transfers/{deposit}")["status"] == "completed", seconds=60, what="the card confirms")
    assert storm.eve.balance() == 5000


def test_a_bank_that_never_answers_fails_the_deposit(storm: Storm) -> None:
    deposit = storm.late["silent bank"]
    until(lambda: storm.eve.get(f"/transfers/{deposit}")["status"] == "failed", seconds=90, what="it times out")
    assert storm.eve.balance() == 5000  # the slow card's
    kinds = Counter(each["kind"] for each in storm.eve.pages("/notifications"))
    assert kinds == {"deposit_completed": 1, "transfer_declined": 1}


def test_an_access_token_dies_with_its_session_within_a_minute(storm: Storm) -> None:
    gone = Client(storm.gone.url, storm.gone.token)
    until(lambda: gone.request("GET", "/auth/me").status == 401, seconds=62, what="the cached authorization lapses")


def test_a_refresh_token_that_comes_back_late_ends_the_session(storm: Storm) -> None:
    person = storm.robbed
    stolen = person.request("POST", "/auth/refresh", {"refresh_token": storm.stolen})
    assert expect(stolen, 401)["code"] == "invalid_refresh_token"
    ended = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"


def test_nothing_is_left_in_a_dead_letter_queue(world: World) -> None:
    world.settle(seconds=120)
    counts = {name: count for name, count in world.queues().items() if name.endswith(("dead-letters", "failures"))}
    assert len(counts) >= 6
    assert {name: count for name, count in counts.items() if count} == {}


def test_the_books_are_right(world: World) -> None:
    world.verify(drained=True)
