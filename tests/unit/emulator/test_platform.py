"""What is built and deployed again, and which failures are explained."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emulator import platform
from emulator.settings import Run
from tools import environment

TEMPLATES = ("template.yaml", "gateway.yaml", "gateway-policy.yaml", "templates/mail.yaml")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    code = ("functions/auth/service.py", "functions/mail/service.py", "layers/common/money.py")
    for name in (*TEMPLATES, *code):
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


@pytest.mark.parametrize("name", [*TEMPLATES, "layers/common/money.py", "functions/auth/requirements.txt"])
def test_anything_else_is_a_deployment(tree: Path, name: str) -> None:
    assert platform.only_rooms(changed(tree, name)) == []


class FakeCloudFormation:
    """A stack and a nested stack, each with an event before and after noon."""

    def describe_stacks(self) -> dict[str, Any]:
        return {"Stacks": [{"StackId": "root"}, {"StackId": "nested"}]}

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803 (boto3's parameter)
        failed = {"LogicalResourceId": StackName, "ResourceStatus": "UPDATE_FAILED"}
        reasons = {11: "old", 13: f"of {StackName}"}
        return {
            "StackEvents": [
                {**failed, "Timestamp": datetime(2026, 1, 1, hour, tzinfo=UTC), "ResourceStatusReason": reason}
                for hour, reason in reasons.items()
            ]
        }


def test_a_failed_deployment_is_explained_by_the_events_of_every_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "client", lambda run, service: FakeCloudFormation())
    events = platform._failed_events(Run("x", root=tmp_path), datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert events == "  root: of root\n  nested: of nested"


@pytest.mark.parametrize("name", ["Auth/AuthLogin", "Mail/MailFlush"])
def test_a_contexts_artifact_lies_in_its_stacks_folder(tmp_path: Path, name: str) -> None:
    run = Run("x", root=tmp_path)
    context = name.split("/", maxsplit=1)[0].lower()
    package = run.build_folder / name / "functions" / context
    package.mkdir(parents=True)
    assert platform._built(run, context) == package


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
