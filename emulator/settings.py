"""Settings of a run of the embedded platform: its name, folder, ports, clients and stack outputs."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
STACK = "remit"
STAGE = "v1"
DEFAULT_PORTS = {"api": 3000, "aws": 3001}
PORT_VARIABLES = {"api": "API_PORT", "aws": "AWS_PORT"}
# These point tests and tools at another deployment, such as LocalStack's.
URL_VARIABLES = {"api": "REMIT_API_URL", "aws": "REMIT_AWS_URL"}
# Files of the developer's own AWS configuration are not read: they may be broken, or name another account.
NO_CONFIGURATION = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
DUMMY_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


def _loopback() -> tuple[str, ...]:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:  # no IPv6
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


LOOPBACK = _loopback()


@dataclass(frozen=True)
class Run:
    """A run of the embedded platform, with its own emulator, data, build and ports."""

    name: str = "local"
    root: Path = ROOT
    chosen_ports: Mapping[str, int] = field(default_factory=dict, hash=False)
    chosen_urls: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def current(cls, env: Mapping[str, str] = os.environ) -> "Run":
        """Return the run that the environment variables name. Raises SystemExit if one of them is not valid."""
        name = env.get("REMIT_RUN") or "local"
        if not name.replace("-", "").replace("_", "").isalnum():
            raise SystemExit(f"REMIT_RUN={name!r} is not a valid name: use only letters, digits, - and _.")
        ports = {kind: _port(variable, env[variable]) for kind, variable in PORT_VARIABLES.items() if env.get(variable)}
        urls = {kind: env[variable].rstrip("/") for kind, variable in URL_VARIABLES.items() if env.get(variable)}
        return cls(name, chosen_ports=ports, chosen_urls=urls)

    @property
    def folder(self) -> Path:
        """The folder of the run's state, logs, builds and temporary files."""
        return self.root / ".remit" / self.name

    @property
    def source(self) -> Path:
        """The copy of the sources that `sam build` reads."""
        return self.folder / "source"

    @property
    def build_folder(self) -> Path:
        """The output of `sam build`."""
        return self.folder / "build"

    @property
    def logs(self) -> Path:
        """The logs of the launcher, of SAM and of each context's handlers."""
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """The emulator's data."""
        return self.folder / "state"

    @property
    def temporary(self) -> Path:
        """Temporary files, deleted at every start."""
        return self.folder / "tmp"

    @property
    def platform_file(self) -> Path:
        """The file that `platform` is read from."""
        return self.folder / "platform.json"

    @property
    def process_file(self) -> Path:
        """The file that the launcher locks as long as it lives, with its process id."""
        return self.folder / "launcher.lock"

    @property
    def platform(self) -> dict[str, Any]:
        """What the last `make up` wrote: addresses, process id, stack outputs."""
        try:
            known: dict[str, Any] = json.loads(self.platform_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # never started, or damaged: the next `make up` writes it again
            return {}
        return known

    def remember(self, **values: Any) -> None:
        """Merge values into platform.json, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.platform_file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(self.platform | values, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.platform_file)

    def port(self, kind: str) -> int:
        """Return the `api` or `aws` port: from its variable, else from platform.json, else the default of `local`."""
        port = self.chosen_ports.get(kind) or self.platform.get(f"{kind}_port")
        if not port and self.name == "local":
            port = DEFAULT_PORTS[kind]
        if not port:
            raise SystemExit(f"The run {self.name!r} has not been started: run REMIT_RUN={self.name} make up.")
        return int(port)

    @property
    def api_url(self) -> str:
        """The base URL of the API, including the stage."""
        return self.chosen_urls.get("api") or f"http://127.0.0.1:{self.port('api')}/{STAGE}"

    @property
    def aws_url(self) -> str:
        """The URL of the AWS endpoint."""
        return self.chosen_urls.get("aws") or f"http://127.0.0.1:{self.port('aws')}"

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the deployed stack."""
        if "aws" in self.chosen_urls:
            stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        outputs: dict[str, str] = self.platform.get("outputs", {})
        return outputs

    def client(self, service: str) -> Any:
        """Return a boto3 client for the AWS of this run."""
        return _client(service, self.aws_url)

    def aws_environment(self) -> dict[str, str]:
        """Return environment variables with which an AWS tool talks to this run only."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
        return {
            **clean,
            **DUMMY_KEYS,
            **NO_CONFIGURATION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ENDPOINT_URL_STS": self.aws_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "*",  # everything is on this machine
            "no_proxy": "*",
            "__SAM_CLI_APP_DIR": str(self.folder / "sam"),  # the home folder may be read-only
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.3",  # in seconds, instead of 5
        }


def _port(variable: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SystemExit(f"{variable}={text} is not a port: use a number from 1 to 65535.")
    return int(text)


@cache
def _client(service: str, url: str) -> Any:
    # Not at the top: settings are also read before the packages are installed.
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    config = Config(retries={"total_max_attempts": 3}, read_timeout=90, max_pool_connections=50, proxies={})
    session = Session(
        {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(botocore_session=session).client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - not a real secret
        config=config,
    )
