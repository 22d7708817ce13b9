"""After the fault run, all interrupted work was finished exactly once, and everyone was notified exactly once."""

from collections import Counter

import pytest

from tests.e2e.client import Client, Person, expect, until
from tests.e2e.fault_run import AMOUNT, CASES, STRANDED, Case, FaultRun, register
from tests.e2e.platform import Platform

# How long the slowest retry can take: a deposit is due after 120 s, a message is visible again after 90 s, a mail's
# claim lapses after 60 s, and recovery runs every minute.
RETRY_SECONDS = 200
TRANSFERS = [case for case in CASES if case.path == "transfer"]
DEPOSITS = [case for case in CASES if case.path == "deposit"]
REGISTRATIONS = [case for case in CASES if case.path == "register"]

pytestmark = [pytest.mark.stage("after_faults"), pytest.mark.usefixtures("recovered")]


@pytest.fixture(scope="module")
def recovered(platform: Platform, fault_run: FaultRun) -> None:
    """Run recovery now, rather than within a minute, until no transfer is pending."""
    platform.schedules(on=True)
    platform.finish_transfers(seconds=RETRY_SECONDS)


def by_key(person: Person, key: str) -> dict[str, object]:
    found = person.get("/transfers", idempotency_key=key)["data"]
    assert len(found) <= 1
    return dict(found[0]) if found else {}


@pytest.mark.parametrize("case", [*TRANSFERS, *DEPOSITS], ids=lambda case: case.id)
def test_the_clients_retry_finds_one_completed_transfer(fault_run: FaultRun, case: Case) -> None:
    outcome = fault_run.outcomes[case.id]
    sender, retry = (
        (fault_run.ada, fault_run.transfer) if case.path == "transfer" else (fault_run.bob, fault_run.deposit)
    )
    recorded = by_key(sender, outcome.key)
    if not recorded:  # the fault came before the record was written, so the client tries again
        assert outcome.answer is not None
        assert outcome.answer.status == 503
        retry(outcome)
    until(lambda: by_key(sender, outcome.key).get("status", "pending") != "pending", what=f"{case.id} ends")
    assert by_key(sender, outcome.key)["status"] == "completed"
    first = outcome.answer
    retry(outcome)
    assert outcome.answer is not None
    assert outcome.answer.status in (201, 202)
    assert outcome.answer.json["id"] == by_key(sender, outcome.key)["id"]
    if recorded and first is not None and first.status != 503:
        assert outcome.answer.content == first.content
        assert outcome.answer.header("idempotent-replayed") == "true"


def test_stranded_transfers_are_completed(fault_run: FaultRun) -> None:
    def statuses() -> set[object]:
        return {by_key(fault_run.ada, key)["status"] for key in fault_run.stranded}

    until(lambda: statuses() == {"completed"}, seconds=RETRY_SECONDS, what="recovery has completed all transfers")


def test_every_transfer_moved_its_money_once(fault_run: FaultRun) -> None:
    """By now every case is one completed transfer."""
    sent, deposited = len(TRANSFERS) + STRANDED, len(DEPOSITS)
    assert fault_run.ada.balance() == 100_000 - sent * AMOUNT
    assert fault_run.bob.balance() == (sent + deposited) * AMOUNT
    kinds = Counter((each["kind"], each["status"]) for each in fault_run.bob.pages("/transfers", limit=100))
    assert kinds == {("transfer", "completed"): sent, ("deposit", "completed"): deposited}


def test_everyone_was_notified_once(fault_run: FaultRun) -> None:
    sent, deposited = len(TRANSFERS) + STRANDED, len(DEPOSITS)

    def kinds(person: Person) -> Counter[str]:
        return Counter(each["kind"] for each in person.pages("/notifications", limit=100))

    expected = Counter(transfer_received=sent, deposit_completed=deposited)
    until(lambda: kinds(fault_run.bob) == expected, seconds=RETRY_SECONDS, what=f"Bob's notifications are {expected}")
    assert kinds(fault_run.ada) == Counter(transfer_sent=sent, deposit_completed=1)


@pytest.mark.parametrize("case", REGISTRATIONS, ids=lambda case: case.id)
def test_a_registered_user_can_verify_and_sign_in(platform: Platform, fault_run: FaultRun, case: Case) -> None:
    person, answer = fault_run.outcomes[case.id].person, fault_run.outcomes[case.id].answer
    assert person is not None
    assert answer is not None
    if answer.status == 503 and case.when == "before":
        expect(register(person), 201)  # nothing was written
    else:
        assert expect(register(person), 409)["code"] == "email_taken"
    code = platform.code(person, seconds=RETRY_SECONDS)
    person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
    assert person.login()["user"]["email_verified"] is True
    assert len(platform.mails(person)) <= 3


def test_a_mail_is_sent_twice_only_if_its_sender_died_before_recording_it(
    platform: Platform, fault_run: FaultRun
) -> None:
    """SES cannot be asked whether it has sent a mail. All cases count together: a fault may hit another case's mail."""
    people = [outcome.person for case in REGISTRATIONS if (outcome := fault_run.outcomes[case.id]).person]
    moments = (("mail-send", "after"), ("mail-mark-sent", "before"))
    died = [case for case in REGISTRATIONS if (case.step, case.when) in moments]
    assert sum(max(len(platform.mails(person)) - 2, 0) for person in people) <= len(died)


def test_a_slow_card_completes_the_deposit(fault_run: FaultRun) -> None:
    deposit = fault_run.late["slow card"]
    until(
        lambda: fault_run.eve.get(f"/transfers/{deposit}")["status"] == "completed",
        seconds=60,
        what="the card confirms",
    )
    assert fault_run.eve.balance() == 5000


def test_a_bank_that_never_answers_fails_the_deposit(fault_run: FaultRun) -> None:
    deposit = fault_run.late["silent bank"]
    until(
        lambda: fault_run.eve.get(f"/transfers/{deposit}")["status"] == "failed", seconds=90, what="the rail times out"
    )
    assert fault_run.eve.balance() == 5000  # from the slow card
    kinds = Counter(each["kind"] for each in fault_run.eve.pages("/notifications"))
    assert kinds == {"deposit_completed": 1, "transfer_declined": 1}


def test_an_access_token_is_rejected_within_a_minute_of_the_end_of_its_session(fault_run: FaultRun) -> None:
    client = Client(fault_run.logged_out.url, fault_run.logged_out.token)
    until(lambda: client.request("GET", "/auth/me").status == 401, seconds=62, what="the cached authorization expires")


def test_a_refresh_token_used_again_after_ten_seconds_ends_the_session(fault_run: FaultRun) -> None:
    person = fault_run.robbed
    stolen = person.request("POST", "/auth/refresh", {"refresh_token": fault_run.stolen_token})
    assert expect(stolen, 401)["code"] == "invalid_refresh_token"
    ended = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"


def test_dead_letter_queues_are_empty(platform: Platform) -> None:
    platform.settle(seconds=120)
    counts = {name: count for name, count in platform.queues().items() if name.endswith(("dead-letters", "failures"))}
    assert len(counts) >= 6
    assert {name: count for name, count in counts.items() if count} == {}


def test_the_books_are_right(platform: Platform) -> None:
    platform.verify(drained=True)
