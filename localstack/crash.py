"""Kills a transfer at a step and watches it recover: `python -m localstack.crash post-after` (`make crash AT=...`)."""

import secrets
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from localstack import story
from localstack.customers import Customer, ada_and_bob, wait_for
from localstack.http import send
from localstack.settings import STACK, Run
from localstack.tables import Tables, clock
from localstack.verify import show, verify


class Call(NamedTuple):
    """An AWS call at which a function can be killed; `retried` where a saga would at once try again."""

    function: str
    service: str
    operation: str
    meaning: str
    retried: bool = False


STEPS = {
    "authorize": Call("TransfersTransfers", "lambda", "Invoke", "asking the accounts room whether this may be"),
    "create": Call("TransfersTransfers", "dynamodb", "TransactWriteItems", "recording the intent with its key"),
    "start": Call("TransfersTransfers", "states", "StartSyncExecution", "starting the saga"),
    "read": Call("AccountsPost", "dynamodb", "BatchGetItem", "reading both accounts", retried=True),
    "post": Call("AccountsPost", "dynamodb", "TransactWriteItems", "moving the money", retried=True),
    "complete": Call("TransfersComplete", "dynamodb", "UpdateItem", "closing the record with its answer", retried=True),
    "publish": Call("OperationsPublish", "sns", "Publish", "publishing what happened"),
    "notify": Call("NotificationsInbox", "dynamodb", "TransactWriteItems", "writing into an inbox"),
    "mail": Call("MailMail", "ses", "SendEmail", "sending a mail"),
}
MOMENTS = ("before", "after")
# A queue's message comes again after its visibility timeout, a mail's claim lapses after a minute.
TOLD_SECONDS = 240


def main(arguments: list[str], run: Run | None = None) -> int:
    """Crash at the step that is named; the exit status."""
    step, _, moment = (arguments[0] if len(arguments) == 1 else "").partition("-")
    if step not in STEPS or moment not in MOMENTS:
        print("Where? make crash AT=<step>-before, or <step>-after the call took effect. Steps:", file=sys.stderr)
        for name, call in STEPS.items():
            print(f"  {name:<10} {call.meaning} ({call.service}:{call.operation} by {call.function})", file=sys.stderr)
        return 2
    run = run or Run.current()
    ada, bob = ada_and_bob(run)
    for customer in (ada, bob):
        customer.sign_in()
        customer.fund(100_000)
    return _crash(run, ada, bob, STEPS[step], moment)


def _crash(run: Run, ada: Customer, bob: Customer, call: Call, moment: str) -> int:
    key = f"crash-{secrets.token_hex(8)}"
    print(f"Whoever comes to {call.service}:{call.operation} of {call.function} is killed just {moment} it", end="")
    _control(run, "POST", "faults", {"do": "kill", "when": moment, **_which(call)})
    if call.retried:
        print(", and every later invocation too, until the saga gives up", end="")
        down = {"function": call.function, "service": "lambda", "operation": "Run", "nth": 2, "times": 0}
        _control(run, "POST", "faults", {"do": "kill", **down})
    print(".")
    try:
        answer = _send(ada, bob, key)
        print(f"  POST /transfers was answered {answer.status} {_gist(answer.json)}")
        wait_for(lambda: _kills(run), "the kill", 60)
    finally:
        kills = _kills(run)
        _control(run, "DELETE", "faults")
    print(f"  killed {kills} times; from now on nothing is")
    transfer_id = ada.by_key(key)
    print(_stuck(run, transfer_id))
    if transfer_id is None:
        transfer_id = _send(ada, bob, key).json["id"]
        print(f"Nothing was recorded, so the key is free: the client tries again and gets {transfer_id}")
    if ada.transfer(transfer_id)["status"] == "pending":
        _recover(run, ada, transfer_id)
    _wait(
        "everyone is told",
        lambda: ada.notices(transfer_id) and bob.notices(transfer_id) and all(_ended(run, transfer_id)),
        TOLD_SECONDS,
    )
    again = _send(ada, bob, key)
    print(f"The client asks again with the same key: {again.status}, {_gist(again.json)}\n")
    print(story.tell(story.Life.of(transfer_id, Tables.read(run))))
    return 0 if show(verify(run)) and again.status in (201, 202) else 1


def _send(ada: Customer, bob: Customer, key: str) -> Any:
    body = {"destination": {"email": bob.email}, "amount": 100, "currency": "USD", "description": "Crash"}
    return ada.request("POST", "/transfers", body, key=key)


def _gist(body: Any) -> str:
    return " ".join(str(body[name]) for name in ("code", "id", "status") if name in body)


def _stuck(run: Run, transfer_id: str | None) -> str:
    if transfer_id is None:
        return "What is left: nothing, the intent was never recorded"
    life = story.Life.of(transfer_id, Tables.read(run))
    markers = [f"{marker['sk']}: {marker.get('outcome')}" for marker in life.markers]
    return (
        f"What is left: {transfer_id} is {life.record['status']}, its marker {', '.join(markers) or 'missing'}, "
        f"{len(life.lines)} journal lines, {len(life.notices)} notifications, {len(life.mails)} mails"
    )


def _recover(run: Run, ada: Customer, transfer_id: str) -> None:
    """Recovery takes only what is past its time, so that is waited for; then it is run now, not within the minute."""
    record = story.Life.of(transfer_id, Tables.read(run)).record
    due = clock.parse(record["due_at"]) + timedelta(milliseconds=10)
    _wait(f"it is due at {record['due_at'][11:19]}", lambda: clock.now() > due, 3700)
    run.client("lambda").invoke(FunctionName=f"{STACK}-transfers-recover", Payload=b"{}")
    _wait("recovery has ended it", lambda: ada.transfer(transfer_id)["status"] != "pending", 90)


def _ended(run: Run, transfer_id: str) -> list[bool]:
    mails = story.Life.of(transfer_id, Tables.read(run)).mails
    return [len(mails) >= 2, *(mail["status"] != "sending" for mail in mails)]


def _wait(what: str, condition: Callable[[], Any], seconds: float) -> None:
    """As `wait_for`, with the seconds counted on the screen."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise SystemExit(f"\nWaited {seconds:.0f} s until {what}, in vain: see the logs, and make verify")
        if sys.stdout.isatty():
            print(f"\r  waiting until {what}: {waited:3.0f} s", end="", flush=True)
        time.sleep(0.5)
    print(f"\r  waited until {what}: {time.monotonic() - started:3.0f} s")


def _which(call: Call) -> dict[str, str]:
    return {"function": call.function, "service": call.service, "operation": call.operation}


def _kills(run: Run) -> int:
    return sum(rule["fired"] for rule in _control(run, "GET", "faults"))


def _control(run: Run, method: str, what: str, body: Any = None) -> Any:
    answer = send(method, f"{run.aws_url}/_remit/{what}", body=body)
    return answer.json if answer.content else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
