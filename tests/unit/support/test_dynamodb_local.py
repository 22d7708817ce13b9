"""If DynamoDB Local is not available, that is printed and fails nothing."""

from pathlib import Path

import pytest

from tests.support import dynamodb_local
from tests.support.dynamodb_local import EngineUnavailable, digest, find, main


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the path. No engine has been downloaded yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DYNAMODB_LOCAL", raising=False)
    monkeypatch.setattr(dynamodb_local, "ROOT", tmp_path)
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def java(folder: Path, version: str) -> None:
    program(folder, "java", f"echo 'openjdk version \"{version}\" 2026-01-01' >&2; exit 3")


@pytest.mark.parametrize(("version", "reason"), [("1.8.0_1", "Java is 8"), ("11.0.2", "Java is 11")])
def test_an_old_java_is_rejected(programs: Path, version: str, reason: str) -> None:
    java(programs, version)
    with pytest.raises(EngineUnavailable, match=reason):
        find()


def test_without_java_maven_or_a_download_the_engine_is_unavailable(programs: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no Java"):
        find()
    java(programs, "17.0.1")
    with pytest.raises(EngineUnavailable, match="no Maven"):
        find()
    program(programs, "mvn", "echo '[ERROR] offline'; exit 1")
    with pytest.raises(EngineUnavailable, match="offline"):
        find()


def test_a_download_with_another_digest_is_rejected_and_deleted(programs: Path, tmp_path: Path) -> None:
    java(programs, "21")
    program(programs, "mvn", '/bin/mkdir "$4/lib"; echo other > "$4/lib/engine.jar"')
    with pytest.raises(EngineUnavailable, match="digest"):
        find()
    assert list((tmp_path / ".remit" / "dynamodb-local").iterdir()) == []


def test_the_named_folder_must_contain_the_engine(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java(programs, "17")
    monkeypatch.setenv("DYNAMODB_LOCAL", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="DYNAMODB_LOCAL"):
        find()
    (tmp_path / "DynamoDBLocal.jar").touch()
    assert find() == tmp_path


def test_tests_that_were_not_run_are_reported_and_do_not_fail(
    programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tests/store"]) == 0
    assert capsys.readouterr().out.startswith("!! NOT RUN: the stores' tests against DynamoDB Local: no Java was found")


def test_tests_are_not_run_if_the_engine_does_not_start(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    java(programs, "17")
    monkeypatch.setenv("DYNAMODB_LOCAL", str(tmp_path))
    (tmp_path / "DynamoDBLocal.jar").touch()
    assert main([]) == 0
    assert "does not start: openjdk" in capsys.readouterr().out


def test_the_digest_covers_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "a").write_text("2")
    second = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, digest(tmp_path)}) == 3
