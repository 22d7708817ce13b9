"""Names, folders and ports of runs."""

import os
from pathlib import Path

import pytest

from emulator.settings import Run


def test_the_run_local_has_the_documented_ports(tmp_path: Path) -> None:
    run = Run(root=tmp_path)
    assert (run.api_url, run.aws_url) == ("http://127.0.0.1:3000/v1", "http://127.0.0.1:3001")
    assert run.folder == tmp_path / ".remit" / "local"


def test_a_variable_sets_a_port() -> None:
    run = Run.current({"API_PORT": "8080", "AWS_PORT": ""})
    assert run.name == "local"
    assert run.port("api") == 8080


def test_a_variable_points_at_another_deployment() -> None:
    run = Run.current(
        {"REMIT_API_URL": "http://127.0.0.1:4566/_aws/execute-api/a/v1/", "REMIT_AWS_URL": "http://127.0.0.1:4566"}
    )
    assert run.api_url == "http://127.0.0.1:4566/_aws/execute-api/a/v1"
    assert run.aws_url == "http://127.0.0.1:4566"


def test_another_run_keeps_its_ports(tmp_path: Path) -> None:
    run = Run("story", root=tmp_path)
    with pytest.raises(SystemExit, match="has not been started"):
        run.port("api")
    run.remember(api_port=4321, outputs={"Topic": "arn"})
    run.remember(aws_port=4322)
    assert (run.port("api"), run.port("aws"), run.outputs) == (4321, 4322, {"Topic": "arn"})


@pytest.mark.parametrize("env", [{"REMIT_RUN": "../elsewhere"}, {"API_PORT": "http"}, {"AWS_PORT": "70000"}])
def test_invalid_variables_are_rejected(env: dict[str, str]) -> None:
    with pytest.raises(SystemExit):
        Run.current(env)


def test_aws_tools_talk_to_this_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    environment = Run().aws_environment()
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environment["NO_PROXY"] == environment["no_proxy"] == "*"
    assert environment["AWS_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL_STS"] == "http://127.0.0.1:3001"


@pytest.mark.parametrize("profile", ["", "missing"])
def test_a_client_does_not_read_the_configuration_of_the_developer(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "config"
    broken.write_text("[default\nregion = nowhere")
    variables = {"AWS_PROFILE": profile, "AWS_CONFIG_FILE": str(broken), "AWS_SHARED_CREDENTIALS_FILE": str(broken)}
    for name, value in (variables | {"HTTP_PROXY": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    client = Run(chosen_urls={"aws": f"http://127.0.0.1:{tmp_path.stat().st_ino}"}).client("sqs")
    assert client.meta.config.proxies == {}
    assert client.meta.region_name == "eu-central-1"


def test_a_damaged_platform_file_is_as_good_as_none(tmp_path: Path) -> None:
    run = Run("story", root=tmp_path)
    run.remember(api_port=4321)
    run.platform_file.write_text('{"api_port": 43')
    assert run.platform == {}
    run.remember(api_port=4322)
    assert run.platform == {"api_port": 4322}
