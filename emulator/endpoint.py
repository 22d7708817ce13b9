"""The AWS port: attributes each call to a function, logs it and applies faults. `/_remit/` is its control API."""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parseaddr
from multiprocessing import forkserver
from typing import Any
from urllib.parse import parse_qs

import hypercorn.asyncio.run
import ministack.app
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from ministack.core import iam_actions, router
from ministack.services import cloudformation, lambda_svc

from emulator import gateway, patches
from emulator.access import refusal
from emulator.faults import Call, CallLog, Rule, Rules, error_response
from emulator.gateway import Message, Receive, Scope, Send, respond
from emulator.journal import ACCOUNT, MAX_BYTES, Journal
from emulator.settings import LOOPBACK, REGION, Run
from emulator.workers import APP_ID, Function, Group, Result, Worker, WorkerPool, crashed, failure, memory_of

_JOURNAL_SECONDS, _SAVE_AGAIN_SECONDS = 0.25, 10
# IAM authorizes a batch as the action on a single entry.
_BATCH_ACTIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}
_CONNECTION_OPERATIONS = {"POST": "PostToConnection", "GET": "GetConnection", "DELETE": "DeleteConnection"}
_WORKER = re.compile(rf"app/{APP_ID}(\d+)")
_connection: ContextVar[asyncio.StreamWriter] = ContextVar("connection")


class _Connection(TCPServer):
    """A connection that a fault can close."""

    async def run(self) -> None:
        _connection.set(self.writer)
        await super().run()


async def serve(run: Run) -> None:
    """Serve both ports until SIGTERM or SIGINT, then save the state."""
    patches.apply()
    gateway.apply_patches()
    journal = Journal(run.state / "journal.jsonl")
    patches.keep_journal(journal)
    endpoint = Endpoint(run, journal)
    patches.run_functions_with(endpoint.run_function)
    patches.replace(hypercorn.asyncio.run, "TCPServer", TCPServer, _Connection)
    config = Config()
    hosts = [f"[{address}]" if ":" in address else address for address in LOOPBACK]
    config.bind = [f"{host}:{run.port(kind)}" for kind in ("aws", "api") for host in hosts]
    config.keep_alive_timeout = 75
    config.h11_max_incomplete_size = 64 * 1024
    config.shutdown_timeout = 3600  # the state is saved meanwhile
    config.loglevel = "WARNING"
    writer = asyncio.create_task(_write_journal(journal))
    try:
        await hypercorn.asyncio.serve(endpoint, config)  # type: ignore[arg-type]
    finally:
        writer.cancel()
        endpoint.workers.stop()


async def _write_journal(journal: Journal) -> None:
    """Write what changes outside of requests several times a second. Save the whole state if it is necessary."""
    saved = time.monotonic()
    while True:
        await asyncio.sleep(_JOURNAL_SECONDS)
        journal.write_rest()
        retry = not journal.is_complete and time.monotonic() - saved > _SAVE_AGAIN_SECONDS
        if journal.size > MAX_BYTES or retry:
            saved = time.monotonic()
            with contextlib.suppress(OSError):
                patches.save_state()


class Endpoint:
    """The ASGI app of both ports."""

    def __init__(self, run: Run, journal: Journal | None = None) -> None:
        self._emulator: gateway.App = ministack.app.app
        self._api = gateway.fixed_address(self._emulator)
        self._journal = journal
        self._api_port = run.port("api")
        self._rules, self._calls = Rules(), CallLog()
        self._logical: dict[str, str] = {}
        self._groups: dict[tuple[Any, ...], Group] = {}
        self._group_of: dict[str, str] = {}
        self.workers = WorkerPool(run.temporary / "code", run.logs, _worker_variables(run))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request on either port."""
        api = scope["type"] != "lifespan" and scope["server"][1] == self._api_port
        if scope["type"] != "lifespan" and (reason := refusal(scope, aws=not api)):
            await _refuse(reason, scope, receive, send)
        elif api:
            await self._api(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/_remit/"):
            await self._control(scope, receive, send)
        elif scope["type"] == "http" and (caller := self._caller(scope)):
            await self._call(*caller, scope, receive, send)
        else:
            await self._emulator(scope, receive, send)

    def run_function(self, record: dict[str, Any], event: Any, request_id: str) -> Result:
        """Run one invocation of a function."""
        config = record.get("config") or record
        function = Function(
            name=config["FunctionName"],
            handler=config["Handler"],
            timeout=config.get("Timeout") or 3,
            memory=config.get("MemorySize") or 128,
            arn=config["FunctionArn"],
            version=config.get("Version", "$LATEST"),
        )
        group = self._group(function, config, record["code_zip"])
        rule = self._rules.take(self._names(function.name), "lambda", "Run")
        if rule and rule.when == "before" and (failed := _run_fault(rule)):
            return failed
        trace_id = lambda_svc._xray_trace_id_for_invocation(config)
        result = self.workers.invoke(group, function, event, request_id, trace_id)
        if rule and rule.when == "after" and (failed := _run_fault(rule)):
            return failed
        return result

    def _group(self, function: Function, config: dict[str, Any], archive: bytes) -> Group:
        layers = [layer["Arn"] if isinstance(layer, dict) else layer for layer in config.get("Layers") or []]
        environment = (config.get("Environment") or {}).get("Variables", {})
        variables = tuple(sorted((variable, str(value)) for variable, value in environment.items()))
        parts = function.handler.split(".")
        name = parts[1] if parts[0] == "functions" else function.name
        key = (name, config["CodeSha256"], *layers, variables)
        if key not in self._groups:
            archives = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
            unpacked = tuple(self.workers.unpack(layer) for layer in archives if layer)
            self._groups[key] = Group(name, self.workers.unpack(archive), unpacked, variables)
        self._group_of[function.name] = name
        return self._groups[key]

    def _caller(self, scope: Scope) -> tuple[Worker, str] | None:
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        found = _WORKER.search(agent.decode("latin-1"))
        return self.workers.running(int(found[1])) if found else None

    def _names(self, function: str) -> tuple[str, str]:
        """Return the logical and the physical name of a function."""
        if function not in self._logical:
            for stack in cloudformation._stacks._data.values():
                for logical, resource in (stack.get("_resources") or {}).items():
                    self._logical[resource["PhysicalResourceId"]] = logical
        return self._logical.get(function, function), function

    async def _call(self, worker: Worker, function: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        call = identify(scope, body)
        names = self._names(function)
        rule = self._rules.take(names, call.service, call.operation)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        status = 0

        async def observe(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._forward(rule, call, worker, scope, body, receive, observe)
        finally:
            self._calls.add(
                call,
                at=at,
                function=names[0],
                function_name=function,
                status=status,
                fault=rule.do if rule else None,
            )

    async def _forward(
        self,
        rule: Rule | None,
        call: Call,
        worker: Worker,
        scope: Scope,
        body: bytes,
        receive: Receive,
        send: Send,
    ) -> None:
        """Forward a call to the emulator, with the fault of a rule if there is one."""
        if rule is None:
            await self._emulator(scope, _replay(body, receive), send)
            return
        held: list[Message] = []
        if rule.do == "delay" and rule.when == "before":
            await asyncio.sleep(rule.seconds)
        if rule.when == "after" or rule.do in ("delay", "lost_reply"):
            await self._emulator(scope, _replay(body, receive), _hold(held))
        if rule.do == "delay" and rule.when == "after":
            await asyncio.sleep(rule.seconds)
        if rule.do == "delay":
            for message in held:
                await send(message)
        elif rule.do in ("kill", "lost_reply"):
            if rule.do == "kill":
                worker.kill()
            _connection.get().transport.abort()
        else:
            status, headers, content = error_response(rule.do, call.service, call.operation, body)
            pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            await send({"type": "http.response.body", "body": content})

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode())
        status = 200
        result: Any = None
        match scope["method"], scope["path"].removeprefix("/_remit/"):
            case "GET", "health":
                result = {
                    "pid": os.getpid(),
                    "api_id": gateway.rest_api(),
                    "running": self.workers.busy(),
                    "idle_seconds": self._calls.idle_seconds(),
                    "journal": self._journal.status() if self._journal else None,
                }
            case "GET", "workers":
                result = self._processes()
            case "GET", "calls":
                result = self._calls.since(int(query.get("since", ["0"])[0]))
            case "DELETE", "calls":
                self._calls.clear()
            case "GET", "faults":
                result = self._rules.list()
            case "POST", "faults":
                try:
                    data = json.loads(await _read(receive))
                    added = [self._rules.add(each) for each in (data if isinstance(data, list) else [data])]
                    status, result = 201, [vars(rule) for rule in added]
                except (ValueError, TypeError) as error:
                    status, result = 400, gateway.problem(400, "Bad rule", str(error), scope["path"])
            case "DELETE", "faults":
                self._rules.clear()
            case "POST", "save":
                status, result = _save(scope["path"])
            case _:
                status, result = (
                    404,
                    gateway.problem(404, "Not found", "See emulator/README.md for the control API.", scope["path"]),
                )
        await respond(send, status, result)

    def _processes(self) -> dict[str, Any]:
        workers = self.workers.list()
        template = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        emulator = memory_of(os.getpid()) + (memory_of(template) if template else 0)
        return {
            "memory": emulator + sum(worker["memory"] for worker in workers),
            "emulator_memory": emulator,
            "workers": workers,
            "functions": {
                name: {"logical": self._names(name)[0], "group": group} for name, group in self._group_of.items()
            },
        }


def identify(scope: Scope, body: bytes) -> Call:
    """Return the service and operation of an AWS request, and what IAM would check for it."""
    method, path = scope["method"], scope["path"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if "/@connections/" in path:
        api_id, stage = path.removeprefix("/_aws/execute-api/").split("/")[:2]
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage}/{method}/@connections/*"
        return Call("execute-api", _CONNECTION_OPERATIONS[method], (("execute-api:ManageConnections", arn),))
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    query = ministack.app._routing_params(method, path, headers, body, query)
    service = router.detect_service(method, path, headers, query)
    action = iam_actions.extract_iam_action(service, method, path, headers, body, query)
    if action is None:
        return Call(service, f"{method} {path}", ())
    namespace, _, operation = action.partition(":")
    if action == "lambda:InvokeFunction":
        operation = "Invoke"
    pairs: Iterable[tuple[str, str]] = ()
    if service == "dynamodb":
        pairs = iam_actions.dynamodb_transaction_checks(action, body, REGION, ACCOUNT)
        pairs = pairs or [(action, arn) for arn in iam_actions.dynamodb_resource_arns(body, REGION, ACCOUNT)]
    else:
        arns = [iam_actions.extract_resource_arn(service, method, path, headers, body, query, REGION, ACCOUNT)]
        if action == "ses:SendEmail":
            arns = [f"arn:aws:ses:{REGION}:{ACCOUNT}:{resource}" for resource in _mail_resources(query, body)]
        pairs = [(_BATCH_ACTIONS.get(action, action), arn) for arn in arns]
    return Call(namespace, operation, tuple(dict.fromkeys(pairs)))


def _mail_resources(query: dict[str, list[str]], body: bytes) -> list[str]:
    """Return what AWS authorizes a mail on: the sender's identity, and the configuration set if one is named."""
    sent = {name: values[0] for name, values in query.items()} if "Source" in query else json.loads(body)
    sets = [f"configuration-set/{sent['ConfigurationSetName']}"] if sent.get("ConfigurationSetName") else []
    return [f"identity/{parseaddr(sent.get('Source') or sent['FromEmailAddress'])[1]}", *sets]


def _save(path: str) -> tuple[int, Any]:
    """Save the state in the event loop, so that no request changes it meanwhile. Return a status and a body."""
    try:
        patches.save_state()
    except OSError as error:
        return 507, gateway.problem(507, "Not saved", f"{error}. The journal has every change.", path)
    return 200, None


def _run_fault(rule: Rule) -> Result | None:
    """Apply a rule to an invocation. Return its failure, or None if it was only delayed."""
    if rule.do == "delay":
        time.sleep(rule.seconds)
        return None
    if rule.do == "throttle":
        throttled: Result = lambda_svc._throttle_response("ConcurrentInvocationLimitExceeded", "Rate Exceeded.")
        return throttled
    if rule.do == "error":
        return failure("Runtime.Unknown", "A fault rule failed this invocation.")
    return crashed()


def _worker_variables(run: Run) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": run.aws_url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # there is no host sync-127.0.0.1
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "HOME": str(run.temporary),
        "LANG": "en_US.UTF-8",
        "NO_PROXY": "*",  # workers call this machine only
        "PATH": os.defpath,
        "TMPDIR": str(run.temporary),
        "TZ": ":UTC",
    }


async def _refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await respond(send, 403, gateway.problem(403, "Forbidden", reason, scope["path"]))


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _hold(held: list[Message]) -> Send:
    async def send(message: Message) -> None:
        held.append(message)

    return send
