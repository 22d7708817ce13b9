"""The emulator's process: patched AWS on one port, the API on the other, and the workers that run handlers."""

import asyncio
import os
import resource
import shutil
import tempfile

from emulator import workers
from emulator.settings import DUMMY_KEYS, REGION, Run

OPEN_FILES = 10_240


def main() -> None:
    """Run the platform until SIGTERM, which also writes its state to disk."""
    run = Run.current()
    workers.prepare()  # before TMPDIR is set: the path of its socket must be short
    _prepare(run)
    from emulator import endpoint  # imports ministack, which reads its settings from the environment

    asyncio.run(endpoint.serve(run))


def _prepare(run: Run) -> None:
    shutil.rmtree(run.temporary, ignore_errors=True)  # an earlier process left unpacked artifacts
    for folder in (run.temporary, run.state, run.logs):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= DUMMY_KEYS | {
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
    tempfile.tempdir = None  # read TMPDIR again
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
