"""Kills a transfer at a step and shows how it recovers: `python -m tools.crash post-after` (`make crash AT=...`)."""

import secrets
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from emulator.settings import STACK, Run
from tools import story
from tools.customers import Customer, ada_and_bob, wait_for
from tools.http import Answer, send
from tools.tables import Tables, clock
from tools.verify import show, verify


class Call(NamedTuple):
    """An AWS call at which a function can be killed; `retried` if a saga retries the function."""

    function: str
    service: str
    operation: str
    meaning: str
    retried: bool = False


STEPS = {
    "approve": Call("TransfersTransfers", "lambda", "Invoke", "asking accounts to approve the transfer"),
    "create": Call("TransfersTransfers", "dynamodb", "TransactWriteItems", "recording the transfer with its key"),
    "start": Call("TransfersTransfers", "states", "StartSyncExecution", "starting the saga"),
    "read": Call("AccountsPost", "dynamodb", "BatchGetItem", "reading both accounts", retried=True),
    "post": Call("AccountsPost", "dynamodb", "TransactWriteItems", "moving the money", retried=True),
    "complete": Call("TransfersComplete", "dynamodb", "UpdateItem", "completing the record", retried=True),
    "publish": Call("OperationsPublish", "sns", "Publish", "publishing the event"),
    "notify": Call("NotificationsInbox", "dynamodb", "TransactWriteItems", "writing a notification"),
    "mail": Call("MailMail", "ses", "SendEmail", "sending a mail"),
}
MOMENTS = ("before", "after")
# A message is visible again after 90 s, and the claim of a mail lapses after a minute.
NOTIFIED_WITHIN_SECONDS = 240


def main(arguments: list[str], run: Run | None = None) -> int:
    """Kill a transfer at the named step, wait until it recovers, and return the exit status."""
    step, _, moment = (arguments[0] if len(arguments) == 1 else "").partition("-")
    if step not in STEPS or moment not in MOMENTS:
        print("Name a step and a moment: make crash AT=<step>-before or AT=<step>-after. The steps:", file=sys.stderr)
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
    print(f"{call.function} is killed just {moment} {call.service}:{call.operation}", end="")
    target = {"function": call.function, "service": call.service, "operation": call.operation}
    _control(run, "POST", "faults", {"do": "kill", "when": moment, **target})
    if call.retried:
        print(", and so is every later invocation, until the saga gives up", end="")
        retries = {"function": call.function, "service": "lambda", "operation": "Run", "nth": 2, "times": 0}
        _control(run, "POST", "faults", {"do": "kill", **retries})
    print(".")
    try:
        answer = _send(ada, bob, key)
        print(f"  POST /transfers was answered {answer.status} {_summary(answer)}")
        wait_for(lambda: _kills(run), "the kill", 60)
    finally:
        kills = _kills(run)
        _control(run, "DELETE", "faults")
    print(f"  Killed {kills} times. The faults are removed now.")
    transfer_id = ada.by_key(key)
    print(_what_is_left(run, transfer_id))
    if transfer_id is None:
        transfer_id = _send(ada, bob, key).json["id"]
        print(f"No transfer was recorded, so the key is free. The client tries again and gets {transfer_id}")
    if ada.transfer(transfer_id)["status"] == "pending":
        _recover(run, ada, transfer_id)
    _wait("everyone is notified", lambda: _is_notified(run, ada, bob, transfer_id), NOTIFIED_WITHIN_SECONDS)
    again = _send(ada, bob, key)
    print(f"The client sends the same key again: {again.status}, {_summary(again)}\n")
    print(story.report(story.History.of(transfer_id, Tables.read(run))))
    return 0 if show(verify(run)) and again.status in (201, 202) else 1


def _send(ada: Customer, bob: Customer, key: str) -> Answer:
    body = {"destination": {"email": bob.email}, "amount": 100, "currency": "USD", "description": "Crash"}
    return ada.request("POST", "/transfers", body, key=key)


def _summary(answer: Answer) -> str:
    return " ".join(str(answer.json[name]) for name in ("code", "id", "status") if name in answer.json)


def _what_is_left(run: Run, transfer_id: str | None) -> str:
    if transfer_id is None:
        return "What is left: nothing, the transfer was not recorded"
    history = story.History.of(transfer_id, Tables.read(run))
    outcomes = [f"{each['sk']}: {each.get('outcome')}" for each in history.outcomes]
    return (
        f"What is left: {transfer_id} is {history.record['status']}; step outcomes: {', '.join(outcomes) or 'none'}; "
        f"{len(history.lines)} journal lines, {len(history.notifications)} notifications, {len(history.mails)} mails"
    )


def _recover(run: Run, ada: Customer, transfer_id: str) -> None:
    """Wait until the transfer is due, then run recovery at once rather than within a minute."""
    record = story.History.of(transfer_id, Tables.read(run)).record
    due = clock.parse(record["due_at"]) + timedelta(milliseconds=10)
    _wait(f"it is due at {record['due_at'][11:19]}", lambda: clock.now() > due, 3700)
    run.client("lambda").invoke(FunctionName=f"{STACK}-transfers-recover", Payload=b"{}")
    _wait("recovery has completed it", lambda: ada.transfer(transfer_id)["status"] != "pending", 90)


def _is_notified(run: Run, ada: Customer, bob: Customer, transfer_id: str) -> bool:
    if not (ada.notifications(transfer_id) and bob.notifications(transfer_id)):
        return False
    mails = story.History.of(transfer_id, Tables.read(run)).mails
    return len(mails) >= 2 and all(mail["status"] != "sending" for mail in mails)


def _wait(what: str, condition: Callable[[], Any], seconds: float) -> None:
    """Wait as `wait_for` does, and show the seconds on a terminal."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise SystemExit(f"\nWaited {seconds:.0f} s until {what}. See the logs in .remit/ and run make verify.")
        if sys.stdout.isatty():
            print(f"\r  waiting until {what}: {waited:3.0f} s", end="", flush=True)
        time.sleep(0.5)
    print(f"\r  waited until {what}: {time.monotonic() - started:3.0f} s")


def _kills(run: Run) -> int:
    return sum(rule["fired"] for rule in _control(run, "GET", "faults"))


def _control(run: Run, method: str, path: str, body: Any = None) -> Any:
    answer = send(method, f"{run.aws_url}/_remit/{path}", body=body)
    return answer.json if answer.content else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
