"""Makes `.venv` and `.venv-sam` from the locked requirements: `python3 tools/environment.py` (Python 3.11 or later).

It uses the standard library only. Each environment is stamped with its lock and interpreter; a second run does nothing.
"""

from __future__ import annotations  # so that an older Python can import this and report that it is too old

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = {".venv": "dev.txt", ".venv-sam": "sam.txt"}
UV, UV_LOCK = ".remit/uv", "uv.txt"
STAMP = "remit-stamp"


class EnvironmentFailed(Exception):
    """What went wrong and what to do about it."""


def main() -> int:
    """Make the environments that are missing or out of date, and return the exit status."""
    try:
        _check_python()
        for folder, lock in ENVIRONMENTS.items():
            _ensure(ROOT / folder, ROOT / "requirements" / lock)
    except EnvironmentFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{_explain_os_error(error)}", file=sys.stderr)
        return 1
    return 0


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise EnvironmentFailed(
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
        raise EnvironmentFailed(f"{lock} is missing. Check out the whole repository.") from None
    return hashlib.sha256(content + f"\n{interpreter}\n{version}".encode()).hexdigest()


def _stamped(folder: Path, stamp: str) -> bool:
    try:
        return (folder / STAMP).read_text() == stamp
    except FileNotFoundError:
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
    done = subprocess.run(command, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise EnvironmentFailed(explain(" ".join(command), done.stdout))


def explain(command: str, output: str) -> str:
    """Return what the output of a failed command means, and what to do."""
    text = output.lower()
    last = "\n".join(output.strip().splitlines()[-6:])
    if "no space left" in text:
        return _explain_os_error(OSError(errno.ENOSPC, ""))
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


def _explain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(ROOT).free // 2**20
        return (
            f"The disk is full ({free} MB free). The environments need about 1 GB: free some space and run this again."
        )
    return f"{error}. Check that you can write to {ROOT}."


if __name__ == "__main__":
    sys.exit(main())
