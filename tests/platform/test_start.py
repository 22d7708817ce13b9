"""What a developer's machine does to the launcher: it works, or says in one line why not, and the next `up` works."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from emulator.process import free_port, is_ready, running, stop
from emulator.settings import LOOPBACK, ROOT, Run
from tests.e2e.client import until
from tools.http import send

NAME = "break-start"
# `up` without a deployment and the demo: what these tests break is the start.
START = (
    "import sys; from emulator import platform; platform.VERBS['up'] = platform.start; sys.exit(platform.main(['up']))"
)
DOWN = "import sys; from emulator import platform; sys.exit(platform.main(['down']))"


def command(
    script: str = START, variables: Mapping[str, str] | None = None, root: Path = ROOT
) -> subprocess.Popen[str]:
    """Run a command of the launcher as `make` does."""
    environment = os.environ | {"REMIT_RUN": NAME, "PYTHONPATH": ".:layers/common"} | dict(variables or {})
    python = str(Path(sys.prefix) / "bin" / "python")
    pipe = subprocess.PIPE
    return subprocess.Popen([python, "-c", script], cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    output, error = process.communicate(timeout=100)
    assert process.returncode == status, (output, error)
    assert "Traceback" not in output + error
    return error.strip()


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run(NAME)
    yield run
    if running(run):
        stop(run)
    shutil.rmtree(run.folder, ignore_errors=True)


def test_a_hostile_environment_does_not_matter(run: Run, tmp_path: Path) -> None:
    """A missing profile, a broken configuration, a proxy, a C locale, another time zone, no home folder."""
    broken = tmp_path / "config"
    broken.write_text("[default\nregion = nowhere")
    proxy = f"http://127.0.0.1:{free_port()}"
    variables = {
        **{"AWS_PROFILE": "missing", "AWS_CONFIG_FILE": str(broken), "AWS_SHARED_CREDENTIALS_FILE": str(broken)},
        **{"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy},
        **{"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Kiritimati", "HOME": "/proc/none", "PYTHONUTF8": "0"},
    }
    finish(command(variables=variables))
    assert is_ready(run)
    for host in ("localhost", *(f"[{address}]" if ":" in address else address for address in LOOPBACK)):
        assert send("GET", f"http://{host}:{run.port('aws')}/_remit/health").status == 200
    finish(command("from emulator.settings import Run; Run.current().client('sqs').list_queues()", variables))
    finish(command("from emulator.settings import Run; Run.current().client('sqs').list_queues()", {"AWS_PROFILE": ""}))
    assert run.state.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.state.rglob("*"))
    finish(command(DOWN, variables))
    assert not running(run)
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.state.rglob("*"))


def test_two_starts_at_once_make_one_emulator(run: Run) -> None:
    first, second = command(), command()
    finish(first)
    finish(second)
    assert is_ready(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_no_process_and_the_next_one_works(run: Run, number: int) -> None:
    starting = command()
    until(lambda: running(run), seconds=30, what="the launcher is alive")
    starting.send_signal(number)
    assert finish(starting, 130) == "Interrupted. Run the same command again to continue."
    assert not running(run)
    assert port_is_free(run)


def test_after_a_start_that_was_killed_the_next_one_works(run: Run) -> None:
    starting = command()
    until(lambda: running(run), seconds=30, what="the launcher is alive")
    starting.kill()
    starting.communicate()
    finish(command())
    assert is_ready(run)


def test_a_taken_port_is_one_message_with_the_process_that_holds_it(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        error = finish(command(variables={"API_PORT": port}), 1)
    assert error.startswith(f"Port {port} is taken by ")
    assert f"(pid {os.getpid()})" in error


def test_a_path_with_spaces_works(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "a path with spaces"
    for folder in ("emulator", "tools", "layers"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    copied = Run(NAME, root=root)
    try:
        finish(command(root=root))
        assert is_ready(copied)
        finish(command(DOWN, root=root))
        assert not running(copied)
    finally:
        if pid := running(copied):
            os.kill(pid, signal.SIGKILL)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    root = tmp_path / "read-only"
    for folder in ("emulator", "tools", "layers"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".remit").write_text("in place of a folder, since root may write everywhere")
    error = finish(command(root=root), 1)
    assert len(error.splitlines()) == 1
    assert "Check that you can write to" in error


def test_a_full_disk_is_one_line(run: Run) -> None:
    script = "import errno\ndef full(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    script += "from pathlib import Path; Path.write_text = full\n" + START.replace("; ", "\n")
    error = finish(command(script), 1)
    assert error.startswith("The disk is full (")
    assert len(error.splitlines()) == 1
    finish(command())
    assert is_ready(run)


def port_is_free(run: Run) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", run.port("aws"))):
                return True
        time.sleep(0.05)
    return False
