"""Starts, deploys, stops and forgets a run: `python -m emulator.platform up|down|reset|status|deploy`."""

import contextlib
import errno
import fcntl
import hashlib
import importlib
import io
import json
import os
import platform as machine
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from emulator.settings import PORT_VARIABLES, REGION, ROOT, STACK, Run

SAM = ROOT / ".venv-sam" / "bin" / "sam"
SOURCES = [
    *("template.yaml", "gateway.yaml", "gateway-policy.yaml", "samconfig.toml"),
    *("templates", "functions", "layers", "statemachines"),
]
ARTIFACTS = "remit-artifacts"
START_SECONDS, STOP_SECONDS = 60, 30
DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


class PlatformFailed(Exception):
    """What went wrong and what to do about it."""


def up(run: Run) -> None:
    """Start the emulator, deploy what changed, and show that it works."""
    start(run)
    deploy(run)
    print(f"\nThe API is at {run.api_url}, AWS at {run.aws_url}.")
    importlib.import_module("tools.demo").main(run)


def down(run: Run) -> None:
    """Stop the emulator; its state stays on disk."""
    pid = running(run)
    if pid is None:
        print("It is not running.")
        return
    with step("stopping"):
        os.kill(pid, signal.SIGTERM)
        if not _wait(lambda: not _alive(pid), STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)
            raise PlatformFailed(f"It did not stop within {STOP_SECONDS} s and was killed; see {run.logs}/launcher.log")


def reset(run: Run) -> None:
    """Stop the emulator and forget its data; builds are kept."""
    if running(run):
        down(run)
    for folder in (run.state, run.logs, run.temporary):
        shutil.rmtree(folder, ignore_errors=True)
    run.platform_file.unlink(missing_ok=True)
    print("All data is forgotten.")


def status(run: Run) -> None:
    """Print what is known about the run, as JSON."""
    print(json.dumps({"running": running(run) is not None, **run.platform}, indent=2))


def start(run: Run) -> None:
    """Start the launcher in the background, unless it runs, and wait until it answers."""
    if running(run):
        if all(run.port(kind) == run.platform[f"{kind}_port"] for kind in PORT_VARIABLES):
            return
        down(run)  # it has been told other ports
    choose_ports(run)
    log = run.logs / "launcher.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with step("starting the emulator"), log.open("ab") as output:
        process = subprocess.Popen(
            # Not `-m`: worker processes would import the main module, and with it the emulator, again.
            [sys.executable, "-c", "from emulator.launcher import main; main()"],
            cwd=ROOT,
            # Handlers see their artifact and layers, not what a path of ours would lend them.
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"REMIT_RUN": run.name},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        run.remember(pid=process.pid, api_url=run.api_url, aws_url=run.aws_url)
        if not _wait(lambda: process.poll() is not None or running(run) is not None, START_SECONDS):
            process.kill()
        if running(run) is None:
            raise PlatformFailed(f"The emulator did not start. The end of {log}:\n{_tail(log)}")


def deploy(run: Run) -> None:
    """Build and deploy what changed since the last time; nothing else."""
    if running(run) is None:
        raise PlatformFailed("The emulator is not running: make up")
    parameters = _parameters(run)
    sources = source_hashes(ROOT) | {"parameters": _digest(json.dumps(parameters).encode())}
    before: dict[str, str] = run.platform.get("sources", {}) if _stack_status(run) in DEPLOYED else {}
    changed = {part for part in sources.keys() | before.keys() if sources.get(part) != before.get(part)}
    if not changed:
        return
    if before and (rooms := only_rooms(changed)) and all(_built(run, room).is_dir() for room in rooms):
        for room in rooms:
            with step(f"updating the functions of {room}"):
                _update_code(run, room)
    else:
        with step("sam build"):
            _stage(run)
            folders = ["--build-dir", str(run.build_folder), "--cache-dir", str(run.folder / "build-cache")]
            _sam(run, ["build", "--cached", "--parallel", *folders], parameters)
        with step("sam deploy"):
            _deploy(run, parameters)
    stack = run.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = stack.get("Outputs", [])
    for parameter in stack.get("Parameters", []):
        if parameter["ParameterKey"] == "Sender":  # on AWS somebody clicks the link that SES mails
            run.client("ses").verify_email_identity(EmailAddress=parameter["ParameterValue"])
    run.remember(sources=sources, outputs={each["OutputKey"]: each["OutputValue"] for each in outputs})
    _control(run, "save", "POST")


def running(run: Run) -> int | None:
    """The process id of this run's launcher, if it is up and is this run's."""
    try:
        pid: int = _control(run, "health")["pid"]
    except (OSError, ValueError, KeyError):
        return None
    return pid if pid == run.platform["pid"] else None


def choose_ports(run: Run) -> None:
    """Settle the run's two ports, and refuse one that is taken."""
    for kind, variable in PORT_VARIABLES.items():
        try:
            port = run.port(kind)
        except SystemExit:
            port = _free_port()
        if not _is_free(port):
            holder = port_holder(port)
            raise PlatformFailed(
                f"Port {port} is taken{f' by {holder}' if holder else ''}.\n"
                f"Stop that, or choose another port: {variable}={_free_port()} make up"
            )
        run.remember(**{f"{kind}_port": port})


def port_holder(port: int) -> str | None:
    """Who listens on a port, where the system tells: "python (pid 123)"."""
    with contextlib.suppress(OSError):
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {row[9] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):
                if any(link.readlink().name == f"socket:[{inode}]" for inode in inodes):
                    process = link.parent.parent
                    return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def source_hashes(root: Path) -> dict[str, str]:
    """A hash for each room's code, and one for everything else that is deployed."""
    parts: dict[str, list[Path]] = {"other": []}
    for source in SOURCES:
        top = root / source
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                room = path.parts[len(root.parts) + 1] if source == "functions" and path.suffix == ".py" else "other"
                parts.setdefault(room, []).append(path)
    return {
        part: _digest(*(f"{path.relative_to(root)}\n".encode() + path.read_bytes() for path in paths))
        for part, paths in parts.items()
    }


def only_rooms(changed: set[str]) -> list[str]:
    """The rooms whose code changed, if nothing else did."""
    return [] if changed & {"other", "parameters"} else sorted(changed)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"  {what} ... ", end="", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def _parameters(run: Run) -> list[str]:
    """The template's parameters on this machine, after those that samconfig.toml sets for `local`."""
    with (ROOT / "samconfig.toml").open("rb") as file:
        local = tomllib.load(file).get("local", {})
    configured = local.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    return [
        *(configured.split() if isinstance(configured, str) else configured),
        f"PythonRuntime=python{sys.version_info.major}.{sys.version_info.minor}",
        f"Architecture={'arm64' if machine.machine() in ('arm64', 'aarch64') else 'x86_64'}",
        f"PublicUrl=http://127.0.0.1:{run.port('api')}",
        "Environment=local",
    ]


def _stage(run: Run) -> None:
    """Copy the sources, less their requirements: here third-party packages come from the launcher's environment."""
    run.source.mkdir(parents=True, exist_ok=True)
    left_out = shutil.ignore_patterns("__pycache__", "requirements.txt")
    for source in SOURCES:
        original, copy = ROOT / source, run.source / source
        if original.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(original, copy, ignore=left_out)
        elif original.exists():
            shutil.copy2(original, copy)


def _deploy(run: Run, parameters: list[str]) -> None:
    cloudformation, s3 = run.client("cloudformation"), run.client("s3")
    state = _stack_status(run)
    if state and state not in DEPLOYED:  # what a failed creation left can't be updated: the root, then nested stacks
        while left := cloudformation.describe_stacks()["Stacks"]:
            stack = left[0]["StackId"]
            cloudformation.delete_stack(StackName=stack)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    command = ["deploy", "--template-file", str(run.build_folder / "template.yaml"), "--stack-name", STACK]
    command += ["--s3-bucket", ARTIFACTS, "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    command += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "--no-progressbar"]
    started = datetime.now(UTC)
    try:
        _sam(run, command, parameters)
    except PlatformFailed as failure:
        events = _failed_events(run, started)
        raise PlatformFailed(f"The stack refused it:\n{events}" if events else str(failure)) from None


def _sam(run: Run, command: list[str], parameters: list[str]) -> None:
    if not SAM.exists():
        raise PlatformFailed("There is no SAM CLI here yet: python3 tools/environment.py")
    # `sam build` looks on the path for the interpreter that it builds for, with pip: its own environment has both.
    environment = run.aws_environment()
    environment["PATH"] = f"{SAM.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    done = subprocess.run(
        [str(SAM), *command, "--region", REGION, "--parameter-overrides", *parameters],
        cwd=run.source,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log = run.logs / f"sam-{command[0]}.log"
    log.write_text(done.stdout)
    if running(run) is None:
        raise PlatformFailed(f"The emulator died. The end of its log:\n{_tail(run.logs / 'launcher.log')}")
    if done.returncode:
        raise PlatformFailed(f"sam {command[0]} failed. The end of {log}:\n{_tail(log)}")


def _update_code(run: Run, room: str) -> None:
    """Give the room's functions the sources as they are now; what was built beside them stays."""
    client = run.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    functions = [each for page in pages for each in page["Functions"]]
    names = [each["FunctionName"] for each in functions if each["Handler"].startswith(f"functions.{room}.")]
    package = _built(run, room)
    artifact = package.parent.parent
    shutil.rmtree(package)
    shutil.copytree(ROOT / "functions" / room, package, ignore=shutil.ignore_patterns("__pycache__"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as contents:
        for path in sorted(artifact.rglob("*")):
            contents.write(path, path.relative_to(artifact))
    for name in names:
        client.update_function_code(FunctionName=name, ZipFile=archive.getvalue())


def _built(run: Run, room: str) -> Path:
    """The room's package in one of its built artifacts, which are all the same; it may not be there."""
    return next(run.build_folder.glob(f"*/*/functions/{room}"), run.build_folder / "none")


def _stack_status(run: Run) -> str | None:
    try:
        status: str = run.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return status


def _failed_events(run: Run, since: datetime) -> str:
    client = run.client("cloudformation")
    try:
        # Every stack here is ours: the root's, and nested ones, which a failed root may not list.
        stacks = client.describe_stacks()["Stacks"]
        pages = [client.describe_stack_events(StackName=each["StackId"])["StackEvents"] for each in stacks]
    except (ClientError, BotoCoreError):
        return ""
    events = sorted((event for page in pages for event in page), key=lambda event: event["Timestamp"])
    failed = [each for each in events if each["ResourceStatus"].endswith("FAILED") and each["Timestamp"] >= since]
    lines = [f"  {each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}" for each in failed]
    return "\n".join(lines[:10])


def _control(run: Run, what: str, method: str = "GET") -> Any:
    address = f"{run.platform['aws_url']}/_remit/{what}"  # always http, on this machine
    request = urllib.request.Request(address, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # where it is our own child, it would stay a zombie
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


VERBS = {"up": up, "down": down, "reset": reset, "status": status, "deploy": deploy}


def main(arguments: list[str]) -> int:
    """Run one verb; the exit status."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print(f"One of: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    run = Run.current()
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        with (run.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would deploy over one another
            VERBS[arguments[0]](run)
    except PlatformFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"\nThe disk is full: {run.folder} needs about 500 MB. Make room and run this again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
