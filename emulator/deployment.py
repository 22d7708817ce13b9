"""Builds and deploys what changed since the last deployment of a run."""

import contextlib
import hashlib
import io
import json
import os
import platform as machine
import shutil
import sys
import time
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from emulator.process import PlatformFailed, control, is_ready, step, tail
from emulator.settings import REGION, ROOT, STACK, Run
from tools.environment import run_to_end

SAM = ROOT / ".venv-sam" / "bin" / "sam"
SOURCES = [
    *("template.yaml", "gateway.yaml", "gateway-policy.yaml", "samconfig.toml"),
    *("templates", "functions", "layers", "statemachines"),
]
ARTIFACTS = "remit-artifacts"
_DEPLOYMENT_SECONDS = 120
_IN_PROGRESS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


def deploy(run: Run) -> None:
    """Build and deploy what changed since the last deployment."""
    if not is_ready(run):
        raise PlatformFailed("The emulator is not running. Run make up.")
    _wait_for_stack(run)
    parameters = _parameters(run)
    sources = source_hashes(ROOT) | {"parameters": _digest(json.dumps(parameters).encode())}
    before: dict[str, str] = run.platform.get("sources", {}) if _stack_status(run) in DEPLOYED else {}
    changed = {part for part in sources.keys() | before.keys() if sources.get(part) != before.get(part)}
    if not changed:
        return
    contexts = only_contexts(changed)
    if before and contexts and all(_built(run, context).is_dir() for context in contexts):
        for context in contexts:
            with step(f"updating the functions of {context}"):
                _update_code(run, context)
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
        if parameter["ParameterKey"] == "Sender":  # on AWS, somebody follows the link that SES mails
            run.client("ses").verify_email_identity(EmailAddress=parameter["ParameterValue"])
    run.remember(sources=sources, outputs={each["OutputKey"]: each["OutputValue"] for each in outputs})
    control(run, "save", "POST")


def source_hashes(root: Path) -> dict[str, str]:
    """Return a hash of the code of each context, and one of everything else that is deployed."""
    parts: dict[str, list[Path]] = {"other": []}
    for source in SOURCES:
        top = root / source
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                is_code = source == "functions" and path.suffix == ".py"
                parts.setdefault(path.relative_to(root).parts[1] if is_code else "other", []).append(path)
    return {
        part: _digest(*(f"{path.relative_to(root)}\n".encode() + path.read_bytes() for path in paths))
        for part, paths in parts.items()
    }


def only_contexts(changed: set[str]) -> list[str]:
    """Return the contexts whose code changed, or none if anything else changed."""
    return [] if changed & {"other", "parameters"} else sorted(changed)


def _parameters(run: Run) -> list[str]:
    """Return the parameters of the template: those of `local` in samconfig.toml, then those of this machine."""
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
    """Copy the sources without their requirements: third-party packages come from the launcher's environment."""
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
    if state and state not in DEPLOYED:  # a failed creation cannot be updated: delete the root, then nested stacks
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
        raise PlatformFailed(f"The deployment failed:\n{events}" if events else str(failure)) from None


def _sam(run: Run, command: list[str], parameters: list[str]) -> None:
    if not SAM.exists():
        raise PlatformFailed("The SAM CLI is not installed. Run python3 tools/environment.py.")
    # `sam build` looks for the interpreter and pip on the path. Its own environment has both.
    environment = run.aws_environment()
    environment["PATH"] = f"{SAM.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    arguments = [*command, "--region", REGION, "--parameter-overrides", *parameters]
    status, output = run_to_end([str(SAM), *arguments], env=environment, cwd=run.source)
    log = run.logs / f"sam-{command[0]}.log"
    log.write_text(output, encoding="utf-8")
    if not is_ready(run):
        raise PlatformFailed(f"The emulator died. The end of its log:\n{tail(run.logs / 'launcher.log')}")
    if status:
        raise PlatformFailed(f"sam {command[0]} failed. The end of {log}:\n{tail(log)}")


def _update_code(run: Run, context: str) -> None:
    """Update the functions of a context to the current sources, and keep the rest of its artifact."""
    client = run.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    functions = [each for page in pages for each in page["Functions"]]
    names = [each["FunctionName"] for each in functions if each["Handler"].startswith(f"functions.{context}.")]
    package = _built(run, context)
    artifact = package.parent.parent
    shutil.rmtree(package)
    shutil.copytree(ROOT / "functions" / context, package, ignore=shutil.ignore_patterns("__pycache__"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as contents:
        for path in sorted(artifact.rglob("*")):
            contents.write(path, path.relative_to(artifact))
    for name in names:
        client.update_function_code(FunctionName=name, ZipFile=archive.getvalue())


def _built(run: Run, context: str) -> Path:
    """Return the package of a context in one of its built artifacts, which are equal. It may not exist."""
    return next(run.build_folder.glob(f"*/*/functions/{context}"), run.build_folder / "none")


def _wait_for_stack(run: Run) -> None:
    """Wait until a deployment ends that an interrupted command has started: deleting it would delete the data."""
    if not _is_in_progress(run):
        return
    with step("waiting for the deployment that was interrupted"):
        deadline = time.monotonic() + _DEPLOYMENT_SECONDS
        while _is_in_progress(run) and time.monotonic() < deadline:
            time.sleep(0.3)


def _is_in_progress(run: Run) -> bool:
    return (_stack_status(run) or "").endswith(_IN_PROGRESS)


def _stack_status(run: Run) -> str | None:
    try:
        status: str = run.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return status


def _failed_events(run: Run, since: datetime) -> str:
    client = run.client("cloudformation")
    try:
        # All stacks are ours: the root and the nested ones, which a failed root may not list.
        stacks = client.describe_stacks()["Stacks"]
        pages = [client.describe_stack_events(StackName=each["StackId"])["StackEvents"] for each in stacks]
    except (ClientError, BotoCoreError):
        return ""
    events = sorted((event for page in pages for event in page), key=lambda event: event["Timestamp"])
    failed = [each for each in events if each["ResourceStatus"].endswith("FAILED") and each["Timestamp"] >= since]
    lines = [f"  {each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}" for each in failed]
    return "\n".join(lines[:10])


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
