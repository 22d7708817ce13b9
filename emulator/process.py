"""The emulator's process: its ports, its start, and its end."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from emulator.settings import LOOPBACK, PORT_VARIABLES, ROOT, Run
from tools.environment import CommandFailed, end_group, start_group

START_SECONDS = 60
# The emulator may take any time to save its state, but not this long without writing anything.
STOP_SECONDS = 60
# Ignores the proxies of the developer, because requests go to this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PlatformFailed(CommandFailed):
    """What went wrong with the platform, and what to do about it."""


def start(run: Run) -> None:
    """Start the launcher in the background, unless it runs, and wait until it answers.

    If this is interrupted, the launcher ends, too.
    """
    if running(run):
        _wait(lambda: is_ready(run) or not running(run), START_SECONDS)
        if is_ready(run) and all(run.port(kind) == run.platform[f"{kind}_port"] for kind in PORT_VARIABLES):
            return
        stop(run)  # it does not answer, or other ports were chosen
    choose_ports(run)
    log = run.logs / "launcher.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with step("starting the emulator"), log.open("ab") as output:
        process = start_group(
            # Not `-m`: worker processes would import the main module, and with it the emulator, again.
            [sys.executable, "-c", "from emulator.launcher import main; main()"],
            cwd=ROOT,
            # Handlers import from their artifact and layers only.
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"REMIT_RUN": run.name},
            output=output,
        )
        try:
            run.remember(pid=process.pid, api_url=run.api_url, aws_url=run.aws_url)
            _wait(lambda: process.poll() is not None or is_ready(run), START_SECONDS)
            if not is_ready(run):
                raise PlatformFailed(f"The emulator did not start. The end of {log}:\n{tail(log)}")
        except BaseException:
            end_group(process)
            raise


def stop(run: Run) -> bool:
    """Stop the emulator, and wait as long as it saves its state. Return False if it was not running."""
    pid = running(run)
    if pid is None:
        return False
    with step("stopping"):
        _signal(pid, signal.SIGTERM)
        progress, deadline = _progress(run), time.monotonic() + STOP_SECONDS
        while running(run):
            if (now := _progress(run)) != progress:
                progress, deadline = now, time.monotonic() + STOP_SECONDS
            if time.monotonic() > deadline:
                _signal(pid, signal.SIGKILL)
                raise PlatformFailed(
                    f"The emulator made no progress for {STOP_SECONDS} s and was killed; see {run.logs}/launcher.log. "
                    "Its journal has every change, so the next make up continues."
                )
            time.sleep(0.05)
    return True


def running(run: Run) -> int | None:
    """Return the process id of this run's launcher if it is alive; it may not answer yet."""
    try:
        with run.process_file.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # the launcher holds the lock as long as it lives
                return int(file.read() or run.platform.get("pid") or 0) or None
    except FileNotFoundError:
        pass
    return None


def is_ready(run: Run) -> bool:
    """Return whether this run's launcher answers."""
    try:
        return bool(running(run) == control(run, "health")["pid"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False  # no answer, or another server's


def control(run: Run, what: str, method: str = "GET") -> Any:
    """Send a request to the control API. Raises OSError if there is no answer."""
    address = f"{run.platform['aws_url']}/_remit/{what}"  # always http, on this machine
    with _opener.open(urllib.request.Request(address, method=method), timeout=60) as response:  # noqa: S310
        return json.load(response)


def choose_ports(run: Run) -> None:
    """Choose and remember the two ports of the run. Raises PlatformFailed if one is taken."""
    ports: dict[str, int] = {}
    for kind, variable in PORT_VARIABLES.items():
        try:
            port = run.port(kind)
        except SystemExit:
            port = free_port()
        if port in ports.values():
            raise PlatformFailed(
                f"{' and '.join(PORT_VARIABLES.values())} are both {port}: choose two different ports."
            )
        if not is_free(port):
            holder = port_holder(port)
            raise PlatformFailed(
                f"Port {port} is taken{f' by {holder}' if holder else ''}.\n"
                f"Stop that, or choose another port: {variable}={free_port()} make up"
            )
        ports[kind] = port
    run.remember(**{f"{kind}_port": port for kind, port in ports.items()})


def port_holder(port: int) -> str | None:
    """Return who listens on a port if the system shows it, for example "python (pid 123)"."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            rows = [row.split() for row in Path("/proc/net", table).read_text().splitlines()[1:]]
            inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with contextlib.suppress(OSError):
            if any(link.readlink().name == f"socket:[{inode}]" for inode in inodes):
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    if lsof := shutil.which("lsof"):  # systems without /proc
        found = subprocess.run([lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"], capture_output=True, check=False)
        fields = {line[:1]: line[1:] for line in found.stdout.decode(errors="replace").splitlines()}
        if "p" in fields:
            return f"{fields.get('c', 'a process')} (pid {fields['p']})"
    return None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether the emulator can listen on a port."""
    for address in LOOPBACK:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    print(f"  {what} ... ", end="", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _progress(run: Run) -> list[tuple[str, int, int]]:
    found = []
    for path in run.state.glob("*"):
        with contextlib.suppress(OSError):  # renamed or deleted meanwhile
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns))
    return sorted(found)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
