"""What is built and deployed again, and which failures are explained."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emulator import deployment
from emulator.settings import Run

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
    before = deployment.source_hashes(tree)
    (tree / name).write_text("changed")
    after = deployment.source_hashes(tree)
    return {part for part in after if after[part] != before.get(part)}


def test_the_code_of_a_context_is_updated_alone(tree: Path) -> None:
    assert deployment.only_contexts(changed(tree, "functions/mail/service.py")) == ["mail"]


@pytest.mark.parametrize("name", [*TEMPLATES, "layers/common/money.py", "functions/auth/requirements.txt"])
def test_anything_else_is_a_deployment(tree: Path, name: str) -> None:
    assert deployment.only_contexts(changed(tree, name)) == []


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
    events = deployment._failed_events(Run("x", root=tmp_path), datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert events == "  root: of root\n  nested: of nested"


def test_a_deployment_that_an_interrupted_command_started_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = iter(["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"])
    monkeypatch.setattr(deployment, "_stack_status", lambda run: next(statuses))
    deployment._wait_for_stack(Run("x", root=tmp_path))
    assert not list(statuses)


@pytest.mark.parametrize("status", [None, "CREATE_COMPLETE", "REVIEW_IN_PROGRESS", "CREATE_FAILED"])
def test_a_deployment_that_nobody_continues_is_not_waited_for(
    status: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []
    monkeypatch.setattr(deployment, "_stack_status", lambda run: asked.append(run) or status)
    deployment._wait_for_stack(Run("x", root=tmp_path))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["Auth/AuthLogin", "Mail/MailFlush"])
def test_a_contexts_artifact_lies_in_its_stacks_folder(tmp_path: Path, name: str) -> None:
    run = Run("x", root=tmp_path)
    context = name.split("/", maxsplit=1)[0].lower()
    package = run.build_folder / name / "functions" / context
    package.mkdir(parents=True)
    assert deployment._built(run, context) == package


def test_compiled_files_change_nothing(tree: Path) -> None:
    (tree / "functions/auth/__pycache__").mkdir()
    assert changed(tree, "functions/auth/__pycache__/service.pyc") == set()
