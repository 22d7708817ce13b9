"""A platform whose emulator is killed under load: it starts again, and every answered transfer is there."""

import os
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from emulator import platform as launcher
from emulator.process import control, running
from emulator.settings import Run
from tests.e2e.client import until
from tests.e2e.platform import Platform
from tools.verify import verify

PEOPLE, CLIENTS = 4, 8
LOAD_SECONDS = 4.0
MAX_JOURNAL_SHARE = 0.05
"""How much of the CPU time of the emulator the journal may take. It has one busy thread, so this is its throughput."""


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_after_a_kill_every_answered_transfer_is_there_and_the_books_hold(deployed: Run) -> None:
    platform = Platform(deployed)
    people = platform.crowd(PEOPLE, funds=100_000)
    for person, payee in zip(people, people[1:] + people[:1], strict=True):  # warm workers, and the payees
        person.post(
            "/transfers",
            {"destination": {"email": payee.email}, "amount": 1, "currency": "USD"},
            key="warm",
            status=201,
        )
    answered: list[tuple[Any, str]] = []
    stop = threading.Event()

    def pay(number: int) -> None:
        person, payee = people[number % PEOPLE], people[(number + 1) % PEOPLE]
        count = 0
        while not stop.is_set():
            count += 1
            body = {"destination": {"email": payee.email}, "amount": 1, "currency": "USD"}
            try:
                transfer = person.post("/transfers", body, key=f"kill-{number}-{count}", status=201)
            except (OSError, AssertionError):
                return
            answered.append((person, transfer["id"]))

    before, started = control(deployed, "health")["journal"], time.monotonic()
    threads = [threading.Thread(target=pay, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(LOAD_SECONDS)
    after, seconds = control(deployed, "health")["journal"], time.monotonic() - started
    pid = running(deployed)
    assert pid
    os.kill(pid, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    share = (after["cpu_seconds"] - before["cpu_seconds"]) / (
        after["process_cpu_seconds"] - before["process_cpu_seconds"]
    )
    print(
        f"\n{len(answered)} transfers in {seconds:.1f} s; the journal took {share:.1%}, {after['bytes'] / 1e6:.1f} MB"
    )

    until(lambda: not members(pid), seconds=5, what="every process of the emulator has ended")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        launcher.start(deployed)
    assert len(answered) > CLIENTS
    for person, transfer_id in answered:
        assert person.get(f"/transfers/{transfer_id}")["status"] == "completed"
    # What was interrupted is pending until recovery, and its notifications may still be on their way.
    until(lambda: not [f for f in verify(deployed) if f.violations], seconds=30, what="make verify is green")
    assert share < MAX_JOURNAL_SHARE
