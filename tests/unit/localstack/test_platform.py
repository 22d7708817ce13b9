"""What is built and deployed again, and which failures are explained."""

import socket
from pathlib import Path

import pytest

from localstack import environment, platform
from localstack.settings import Run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("template.yaml", "functions/auth/service.py", "functions/mail/service.py", "layers/common/money.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def changed(tree: Path, name: str) -> set[str]:
    before = platform.source_hashes(tree)
    (tree / name).write_text("changed")
    after = platform.source_hashes(tree)
    return {part for part in after if after[part] != before.get(part)}


def test_a_rooms_code_is_updated_alone(tree: Path) -> None:
    assert platform.only_rooms(changed(tree, "functions/mail/service.py")) == ["mail"]


@pytest.mark.parametrize("name", ["template.yaml", "layers/common/money.py", "functions/auth/requirements.txt"])
def test_anything_else_is_a_deployment(tree: Path, name: str) -> None:
    assert platform.only_rooms(changed(tree, name)) == []


def test_compiled_files_change_nothing(tree: Path) -> None:
    (tree / "functions/auth/__pycache__").mkdir()
    assert changed(tree, "functions/auth/__pycache__/service.pyc") == set()


def test_a_taken_port_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(platform.PlatformFailed, match=rf"Port {port} is taken(.|\n)*API_PORT=\d+ make up"):
            platform.choose_ports(Run("x", root=tmp_path, chosen_ports={"api": port}))


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
    with pytest.raises(environment.EnvironmentFailed, match="missing"):
        environment.stamp_of(tmp_path / "none.txt", "", "")
