"""One process: the emulator, mended, on the AWS port; the API at its plain address; the functions' worker processes."""

import asyncio
import os
import resource
import shutil
import tempfile

from localstack import workers
from localstack.settings import DUMMY_KEYS, REGION, Run

OPEN_FILES = 10_240


def main() -> None:
    """Run the platform until SIGTERM; its state is then on disk."""
    run = Run.current()
    workers.prepare()  # before TMPDIR is ours: its socket's path has to be short
    _prepare(run)
    from localstack import endpoint  # it imports the emulator, which reads its settings from the environment then

    asyncio.run(endpoint.serve(run))


def _prepare(run: Run) -> None:
    shutil.rmtree(run.temporary, ignore_errors=True)  # workers leave what they unpacked behind
    for folder in (run.temporary, run.state, run.logs):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= DUMMY_KEYS | {
        "GATEWAY_PORT": str(run.port("aws")),
        "MINISTACK_HOST": "127.0.0.1",  # in queue URLs; "localhost" may mean ::1, where nobody listens
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(run.state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(run.state / "s3"),
        "TMPDIR": str(run.temporary),
        # Nothing listens but the two ports, and a Docker engine, where there is one, is left alone.
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
