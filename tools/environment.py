"""Makes `.venv` and `.venv-sam` from the locked requirements: `python3 tools/environment.py` (Python 3.11 or later).

It uses the standard library only. Each environment is stamped with its lock and interpreter; a second run does nothing.
The functions without an underscore are those that other commands share: lock files, child processes and exit statuses.
"""

from __future__ import annotations  # so that an older Python can import this and report that it is too old

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = {".venv": "dev.txt", ".venv-sam": "sam.txt"}
UV, UV_LOCK = ".remit/uv", "uv.txt"
STAMP = "remit-stamp"
_STOP_SECONDS = 5
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_locks: set[int] = set()


class CommandFailed(Exception):
    """What went wrong and what to do about it."""


def main() -> int:
    """Make the environments that are missing or out of date, and return the exit status."""
    return exit_status(_make_environments, ROOT, "1 GB")


def exit_status(command: Callable[[], None], folder: Path, needed: str) -> int:
    """Run a command that writes to a folder. If it fails, print why and what to do. Return its exit status.

    SIGTERM and SIGHUP interrupt it as Ctrl-C does, so that it ends its child processes. `needed` is its disk space.
    """
    for number in _INTERRUPTS[1:]:
        signal.signal(number, signal.default_int_handler)
    try:
        command()
    except CommandFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
    except BrokenPipeError:
        pass  # nobody reads the output any more
    except OSError as error:
        print(f"\n{explain_os_error(error, folder, needed)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    else:
        return 0
    return 1


@contextlib.contextmanager
def locked(path: Path, command: str) -> Iterator[None]:
    """Hold a lock file; if another command holds it, say which one and wait.

    Child processes that `run_to_end` starts inherit the lock, so it is held until they have ended, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(f"  waiting for {file.read() or 'another command'} ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{command} (pid {os.getpid()})")
        file.flush()
        _locks.add(file.fileno())
        try:
            yield
        finally:
            _locks.discard(file.fileno())


def run_to_end(command: list[str], *, env: Mapping[str, str], cwd: Path | None = None) -> tuple[int, str]:
    """Run a command in a process group of its own. Return its exit status and output.

    If this process is interrupted, the whole group ends.
    """
    process = start_group(command, env=env, cwd=cwd, output=subprocess.PIPE, pass_fds=tuple(_locks))
    try:
        output, _ = process.communicate()
    except BaseException:
        end_group(process)
        raise
    return process.returncode, output.decode(errors="replace")


def start_group(
    command: list[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    output: int | BinaryIO,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own. An interrupt in the middle of it ends the new process, too."""
    interrupts: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: interrupts.append(number)) for number in _INTERRUPTS}
    try:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupts:
        end_group(process)
        raise KeyboardInterrupt
    return process


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and the rest of its group. Kill what does not end within 5 s."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def explain_os_error(error: OSError, folder: Path, needed: str) -> str:
    """Return what an error of the operating system means for a command that writes to a folder, and what to do."""
    if error.errno in _DISK_FULL:
        free = shutil.disk_usage(ROOT).free // 2**20
        return f"The disk is full ({free} MB free): {folder} needs about {needed}. Free some space and run this again."
    return f"{error}. Check that you can write to {folder}."


def _make_environments() -> None:
    _check_python()
    with locked(ROOT / ".remit" / "environment.lock", "the installation of the environments"):
        for folder, lock in ENVIRONMENTS.items():
            _ensure(ROOT / folder, ROOT / "requirements" / lock)


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise CommandFailed(
            f"Python {sys.version.split()[0]} at {sys.executable} is too old. "
            "Use 3.11 or later: make up PYTHON=python3.12"
        )


def _ensure(folder: Path, lock: Path) -> None:
    stamp = stamp_of(lock, sys.executable, sys.version)
    if _stamped(folder, stamp):
        return
    uv = _uv()
    with _step(f"{folder.name} from requirements/{lock.name}"):
        shutil.rmtree(folder, ignore_errors=True)
        _run([uv, "venv", "--quiet", "--python", sys.executable, "--no-project", str(folder)])
        python = str(folder / "bin" / "python")
        _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(lock)])
        (folder / STAMP).write_text(stamp)


def _uv() -> str:
    """Return the path of the pinned uv, which has an environment of its own."""
    folder, lock = ROOT / UV, ROOT / "requirements" / UV_LOCK
    stamp = stamp_of(lock, sys.executable, sys.version)
    if not _stamped(folder, stamp):
        with _step("uv"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
            _run([*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])
            (folder / STAMP).write_text(stamp)
    return str(folder / "bin" / "uv")


def stamp_of(lock: Path, interpreter: str, version: str) -> str:
    """Return the stamp of an environment that is made from this lock with this interpreter."""
    try:
        content = lock.read_bytes()
    except FileNotFoundError:
        raise CommandFailed(f"{lock} is missing. Check out the whole repository.") from None
    return hashlib.sha256(content + f"\n{interpreter}\n{version}".encode()).hexdigest()


def _stamped(folder: Path, stamp: str) -> bool:
    try:
        # `exists` follows the link to the interpreter, which may have been removed since.
        return (folder / STAMP).read_text() == stamp and (folder / "bin" / "python").exists()
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"  {what} ... ", end="", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def _run(command: list[str]) -> None:
    # Variables of an active environment must not affect the new one.
    clean = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
    }
    if not _is_writable(Path.home() / ".cache"):
        clean["UV_CACHE_DIR"] = str(ROOT / ".remit" / "uv-cache")
    status, output = run_to_end(command, env=clean)
    if status:
        raise CommandFailed(explain(" ".join(command), output))


def _is_writable(folder: Path) -> bool:
    """Return whether a folder can be written to, or be created."""
    return os.access(next(each for each in (folder, *folder.parents) if each.exists()), os.W_OK)


def explain(command: str, output: str) -> str:
    """Return what the output of a failed command means, and what to do."""
    text = output.lower()
    last = "\n".join(output.strip().splitlines()[-6:])
    if "no space left" in text:
        return explain_os_error(OSError(errno.ENOSPC, ""), ROOT, "1 GB")
    if "ensurepip" in text:
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            "This Python has no ensurepip, which virtual environments need. On Debian and Ubuntu: "
            f"sudo apt-get install python{minor}-venv. Elsewhere, use another Python: make up PYTHON=..."
        )
    if "no module named venv" in text or "no module named pip" in text:
        return "This Python was built without venv or pip. Use another: make up PYTHON=..."
    network = ("name resolution", "dns error", "failed to fetch", "connection", "timed out", "max retries", "tunnel")
    if "hash" in text and "mismatch" in text:
        return f"A downloaded package is not the one that was locked, so it was not installed.\n{last}"
    if any(word in text for word in network):
        return (
            f"The package index can't be reached. Check the network, and the index and proxy settings of pip.\n{last}"
        )
    return f"This command failed: {command}\n{last}"


if __name__ == "__main__":
    sys.exit(main())
