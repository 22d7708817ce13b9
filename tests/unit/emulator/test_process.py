"""The emulator's process: its ports, and which launcher is running."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator import process
from emulator.settings import LOOPBACK, Run


def test_a_taken_port_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            process.PlatformFailed,
            match=rf"Port {port} is taken by .* \(pid {os.getpid()}\)(.|\n)*API_PORT=\d+ make up",
        ):
            process.choose_ports(Run("x", root=tmp_path, chosen_ports={"api": port}))


@pytest.mark.skipif(len(LOOPBACK) == 1, reason="this machine has no IPv6")
def test_a_port_that_is_taken_on_ipv6_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(process.PlatformFailed, match=rf"taken by .* \(pid {os.getpid()}\)"):
            process.choose_ports(Run("x", root=tmp_path, chosen_ports={"aws": port}))


def test_the_two_ports_must_differ(tmp_path: Path) -> None:
    port = process.free_port()
    with pytest.raises(process.PlatformFailed, match="choose two different ports"):
        process.choose_ports(Run("x", root=tmp_path, chosen_ports={"api": port, "aws": port}))


@contextlib.contextmanager
def launcher(run: Run, *, obeys: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of a launcher but does not answer."""
    run.folder.mkdir(parents=True, exist_ok=True)
    script = f"""
import fcntl, os, signal, sys, time
file = open({str(run.process_file)!r}, "a+"); fcntl.flock(file, fcntl.LOCK_EX)
if not {obeys}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
file.truncate(0); file.write(str(os.getpid())); file.flush(); print(flush=True); time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout
    child.stdout.readline()
    threading.Thread(target=child.wait, daemon=True).start()
    try:
        yield child
    finally:
        child.kill()
        child.stdout.close()


def test_a_launcher_that_does_not_answer_is_running_and_can_be_stopped(tmp_path: Path) -> None:
    run = Run("x", root=tmp_path)
    assert process.running(run) is None
    assert not process.stop(run)
    with launcher(run, obeys=True) as child:
        assert process.running(run) == child.pid
        assert not process.is_ready(run)
        assert process.stop(run)
        assert process.running(run) is None


def test_stopping_waits_while_the_state_is_written_and_kills_what_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("x", root=tmp_path)
    run.state.mkdir(parents=True)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.5)
    saving = threading.Event()

    def save() -> None:
        for number in range(6):  # 1.2 s, longer than the limit
            (run.state / f"{number}.json").write_text("{}")
            time.sleep(0.2)
        saving.set()

    with launcher(run, obeys=False):
        threading.Thread(target=save, daemon=True).start()
        with pytest.raises(process.PlatformFailed, match="journal"):
            process.stop(run)
        assert saving.is_set()


def test_another_server_on_the_port_is_not_the_launcher(tmp_path: Path) -> None:
    """A server that does not even speak HTTP."""
    run = Run("x", root=tmp_path)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        run.remember(pid=1, aws_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert not process.is_ready(run)


def test_an_interrupted_start_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[Any]] = []
    original = subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> subprocess.Popen[Any]:
        started.append(original(["sleep", "60"], **options))
        return started[-1]

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(process, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        process.start(Run("x", root=tmp_path))
    assert started[0].poll() == -signal.SIGTERM


def test_a_proxy_of_the_developer_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    run = Run("x", root=tmp_path)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"pid":1}')
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        run.remember(aws_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert process.control(run, "health") == {"pid": 1}
