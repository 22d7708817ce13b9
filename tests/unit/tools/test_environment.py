"""The environments: when they are made again, and which failures are explained; and what all commands share."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import environment


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("error: No space left on device (os error 28)", "disk is full"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "venv"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES: hash mismatch", "not the one that was locked"),
        ("error: Failed to fetch: `https://example/x.whl`", "package index can't be reached"),
        ("something else\nlast line", "last line"),
    ],
)
def test_a_failed_installation_says_what_to_do(output: str, advice: str) -> None:
    assert advice in environment.explain("uv pip sync", output)


def test_an_environment_is_stamped_by_lock_and_interpreter(tmp_path: Path) -> None:
    lock = tmp_path / "dev.txt"
    lock.write_text("a==1")
    first = environment.stamp_of(lock, "/usr/bin/python3", "3.11.7")
    assert first == environment.stamp_of(lock, "/usr/bin/python3", "3.11.7")
    assert first != environment.stamp_of(lock, "/usr/bin/python3", "3.12.1")
    lock.write_text("a==2")
    assert first != environment.stamp_of(lock, "/usr/bin/python3", "3.11.7")
    with pytest.raises(environment.CommandFailed, match="missing"):
        environment.stamp_of(tmp_path / "none.txt", "", "")


def test_an_environment_without_its_interpreter_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / environment.STAMP).write_text("stamp")
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert environment._stamped(tmp_path, "stamp")
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "removed")
    assert not environment._stamped(tmp_path, "stamp")


def test_an_environment_whose_installation_was_interrupted_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert not environment._stamped(tmp_path, "stamp")


SCRIPT = """
import sys, time
from pathlib import Path
from tools.environment import locked, run_to_end, exit_status
def command():
    with locked(Path(sys.argv[1]), "the test"):
        print("locked", flush=True)
        if len(sys.argv) > 2:
            run_to_end(["sh", "-c", sys.argv[2]], env={"PATH": "/usr/bin:/bin"})
sys.exit(exit_status(command, Path(sys.argv[1]).parent, "1 MB"))
"""


def command(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=pipe, stderr=pipe, text=True)


def until_written(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text().strip()


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_a_second_command_names_the_first_and_waits_for_it(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "lock"
    with environment.locked(lock, "the first"):
        second = command(str(lock))
        assert second.stdout
        assert second.stdout.readline() == f"  waiting for the first (pid {os.getpid()}) ...\n"
        assert second.poll() is None
    assert second.communicate(timeout=10) == ("locked\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_ends_its_children_and_says_so_in_one_line(tmp_path: Path, number: int) -> None:
    started = tmp_path / "pid"
    running = command(str(tmp_path / "lock"), f"echo $$ > {started}; trap '' TERM; sleep 60 & wait; sleep 60")
    child = int(until_written(started))
    running.send_signal(number)
    _, error = running.communicate(timeout=10)
    assert (running.returncode, error.strip()) == (130, "Interrupted. Run the same command again to continue.")
    assert not is_alive(child)


def test_the_children_of_a_killed_command_keep_its_lock(tmp_path: Path) -> None:
    lock, started, finish = tmp_path / "lock", tmp_path / "pid", tmp_path / "finish"
    running = command(str(lock), f"echo $$ > {started}; while [ ! -e {finish} ]; do sleep 0.05; done")
    until_written(started)
    running.kill()
    running.communicate()
    second = command(str(lock))
    assert second.stdout
    assert second.stdout.readline().startswith("  waiting for the test (pid ")
    finish.touch()
    assert second.communicate(timeout=10)[0] == "locked\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "x"), "The disk is full"),
        (OSError(errno.EDQUOT, "x"), "The disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "Check that you can write to /folder."),
        (OSError(errno.EROFS, "Read-only file system", "/a"), "Check that you can write to /folder."),
        (environment.CommandFailed("What to do."), "What to do."),
        (KeyboardInterrupt(), "Interrupted."),
    ],
)
def test_a_failed_command_says_in_one_line_why(
    error: BaseException, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert environment.exit_status(fail, Path("/folder"), "1 GB") in (1, 130)
    printed = capsys.readouterr().err.strip()
    assert line in printed
    assert "\n" not in printed


INSTALL = """
import sys
from pathlib import Path
from tools import environment
root = Path(sys.argv[1])
environment.ROOT, environment.ENVIRONMENTS = root, {".venv": "dev.txt"}
environment._uv = lambda: str(root / "uv")
sys.exit(environment.main())
"""
UV = """#!/bin/sh
echo "start $1" >> {log}
sleep 0.3
[ "$1" = venv ] && mkdir -p {venv}/bin && ln -s /bin/sh {venv}/bin/python
echo "end $1" >> {log}
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, with a uv that writes a log and takes its time."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text("a==1")
    (tmp_path / "uv").write_text(UV.format(log=tmp_path / "log", venv=tmp_path / ".venv"))
    (tmp_path / "uv").chmod(0o700)
    return tmp_path


def install(clone: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", INSTALL, str(clone)], stdout=subprocess.PIPE, text=True)


def test_two_commands_at_once_on_a_fresh_clone_install_once(clone: Path) -> None:
    both = [install(clone), install(clone)]
    for each in both:
        each.communicate(timeout=20)
    assert [each.returncode for each in both] == [0, 0]
    assert (clone / "log").read_text().splitlines() == ["start venv", "end venv", "start pip", "end pip"]


def test_after_a_killed_installation_the_next_one_waits_for_its_children_and_repairs_it(clone: Path) -> None:
    first = install(clone)
    until_written(clone / "log")
    first.kill()
    first.communicate()
    second = install(clone)
    second.communicate(timeout=20)
    assert second.returncode == 0
    assert (clone / "log").read_text().splitlines() == ["start venv", "end venv"] * 2 + ["start pip", "end pip"]
    assert environment._stamped(clone / ".venv", (clone / ".venv" / environment.STAMP).read_text())
