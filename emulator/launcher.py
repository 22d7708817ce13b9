"""The emulator's process: patched AWS on one port, the API on the other, and the workers that run handlers."""

import asyncio
import contextlib
import fcntl
import os
import resource
import shutil
import tempfile
import time
from typing import TextIO

from emulator import workers
from emulator.settings import DUMMY_KEYS, NO_CONFIGURATION, REGION, Run

OPEN_FILES = 10_240
_LOCK_TRIES = 40


def main() -> None:
    """Run the platform until SIGTERM, which also writes its state to disk."""
    os.umask(0o077)  # only this user reads what it writes
    run = Run.current()
    process_file = _lock(run)  # noqa: F841 - locked until this process ends
    workers.prepare()  # before TMPDIR is set: the path of its socket must be short
    _prepare(run)
    from emulator import endpoint  # imports ministack, which reads its settings from the environment

    asyncio.run(endpoint.serve(run))


def _lock(run: Run) -> TextIO:
    """Lock the process file. Raises SystemExit if the launcher of this run is already running."""
    file = run.process_file.open("a+")
    for _ in range(_LOCK_TRIES):  # `running` holds it for a moment
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return file
        time.sleep(0.05)
    raise SystemExit(f"The launcher of the run {run.name} is already running.")


def _prepare(run: Run) -> None:
    shutil.rmtree(run.temporary, ignore_errors=True)  # an earlier process left unpacked artifacts
    for folder in (run.temporary, run.state, run.logs):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    os.environ.pop("AWS_PROFILE", None)
    os.environ |= (
        DUMMY_KEYS
        | NO_CONFIGURATION
        | {
            "NO_PROXY": "*",  # everything is on this machine
            "GATEWAY_PORT": str(run.port("aws")),
            "MINISTACK_HOST": "127.0.0.1",  # used in queue URLs; "localhost" may resolve to ::1
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(run.state),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(run.state / "s3"),
            "TMPDIR": str(run.temporary),
            # Listen on the two ports only, and do not use Docker.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{run.temporary}/no-docker.sock",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }
    )
    tempfile.tempdir = None  # read TMPDIR again
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
