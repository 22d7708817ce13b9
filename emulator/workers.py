"""Worker processes that run handlers. Functions with the same artifact, layers and variables share them."""

import contextlib
import importlib
import io
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

# Imported once, before any worker is forked. Nearly every handler imports these, so a new worker is ready in 20 ms.
PRELOADED = [
    "boto3",
    "botocore.httpsession",
    "pydantic",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    __name__,
]
# As on AWS, initialization does not count towards the timeout of the function. On AWS it may take 10 s; here a busy
# machine may need longer.
INIT_SECONDS = 60
# More processes than this exist only while all of them are busy. A transfer needs two of its group at once, and with a
# lower limit idle workers are stopped and started again all the time.
MAX_IDLE_PROCESSES = 24
APP_ID = "remit-worker-"
REPOSITORY = Path(__file__).resolve().parent.parent

_RESULT, _ERROR, _IMPORTED = b"=", b"!", b"~"

Result = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Functions that share worker processes: they have the same code, layers and variables."""

    name: str
    code: str
    layers: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Function:
    """What differs between the functions of a group; sent to the worker with each invocation."""

    name: str
    handler: str
    timeout: float
    memory: int
    arn: str
    version: str = "$LATEST"


@dataclass(eq=False)
class Worker:
    """A process and its end of the pipe; busy while `function` is set."""

    number: int
    group: Group
    process: ForkServerProcess
    pipe: Connection
    function: str | None = None
    used: float = field(default_factory=time.monotonic)
    imported: set[str] = field(default_factory=set)
    killed: bool = False

    def kill(self) -> None:
        """Kill the process immediately, as a crash would."""
        self.killed = True
        self.process.kill()


def prepare() -> None:
    """Start the process that workers are forked from, so that it imports while the rest of the platform starts."""
    multiprocessing.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()


class WorkerPool:
    """All worker processes. An invocation never waits for a worker: an idle one is replaced, or another one started."""

    def __init__(self, folder: Path, logs: Path, variables: dict[str, str], limit: int = MAX_IDLE_PROCESSES) -> None:
        self._folder, self._logs, self._variables, self._limit = folder, logs, variables, limit
        self._context = multiprocessing.get_context("forkserver")
        self._all: dict[int, Worker] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._unpacking = threading.Lock()

    def unpack(self, archive: bytes) -> str:
        """Unpack an artifact or a layer, once for all workers, and return its folder."""
        folder = self._folder / sha256(archive).hexdigest()[:32]
        with self._unpacking:
            if not folder.exists():
                draft = folder.with_suffix(".draft")
                with zipfile.ZipFile(io.BytesIO(archive)) as contents:
                    contents.extractall(draft)
                draft.rename(folder)
        return str(folder)

    def invoke(self, group: Group, function: Function, event: Any, request_id: str, trace_id: str | None) -> Result:
        """Run one invocation. The result has a `body` and, if it failed, `error`, as the emulator expects."""
        worker = self._acquire(group, function.name)
        try:
            return self._exchange(worker, function, event, request_id, trace_id)
        finally:
            self._release(worker)

    def running(self, number: int) -> tuple[Worker, str] | None:
        """Return a worker and the function that it is running, or None if it is idle or gone."""
        worker = self._all.get(number)
        return (worker, worker.function) if worker and worker.function else None

    def busy(self) -> int:
        """Return how many invocations are running."""
        return sum(worker.function is not None for worker in list(self._all.values()))

    def list(self) -> list[dict[str, Any]]:
        """Return the workers as `GET /_remit/workers` shows them."""
        with self._lock:
            workers = list(self._all.values())
        return [
            {
                "number": worker.number,
                "pid": worker.process.pid,
                "group": worker.group.name,
                "running": worker.function,
                "handlers": sorted(worker.imported),
                "memory": memory_of(worker.process.pid or 0),
            }
            for worker in workers
        ]

    def stop(self) -> None:
        """Kill every worker."""
        with self._lock:
            workers = list(self._all.values())
            self._all.clear()
        for worker in workers:
            worker.kill()

    def _acquire(self, group: Group, function: str) -> Worker:
        with self._lock:
            idle = [worker for worker in self._all.values() if worker.function is None]
            suitable = [worker for worker in idle if worker.group == group]
            if suitable:
                worker = max(suitable, key=lambda each: each.used)
            else:
                if len(self._all) >= self._limit and idle:
                    self._discard(min(idle, key=lambda each: each.used))
                worker = self._start(group)
            worker.function = function
            return worker

    def _release(self, worker: Worker) -> None:
        with self._lock:
            worker.function, worker.used = None, time.monotonic()
            if worker.killed or len(self._all) > self._limit:
                self._discard(worker)

    def _start(self, group: Group) -> Worker:
        self._count += 1
        ours, theirs = self._context.Pipe()
        variables = dict(group.variables) | self._variables | {"AWS_SDK_UA_APP_ID": f"{APP_ID}{self._count}"}
        log = self._logs / f"{group.name}.log"
        process = self._context.Process(target=serve, args=(theirs, group, variables, str(log)), daemon=True)
        process.start()
        theirs.close()  # so that reading from a dead worker ends with EOFError
        worker = Worker(self._count, group, process, ours)
        self._all[worker.number] = worker
        return worker

    def _discard(self, worker: Worker) -> None:
        self._all.pop(worker.number, None)
        worker.kill()
        worker.pipe.close()

    def _exchange(
        self, worker: Worker, function: Function, event: Any, request_id: str, trace_id: str | None
    ) -> Result:
        envelope = {"event": event, "request_id": request_id, "trace_id": trace_id, **vars(function)}
        try:
            worker.pipe.send_bytes(json.dumps(envelope).encode())
            if function.handler not in worker.imported:
                if not worker.pipe.poll(INIT_SECONDS):
                    worker.kill()
                    return failure("Sandbox.Timedout", f"Init timed out after {INIT_SECONDS}.00 seconds")
                reply = worker.pipe.recv_bytes()
                if reply[:1] != _IMPORTED:
                    return _result(reply)
                worker.imported.add(function.handler)
            if not worker.pipe.poll(function.timeout):
                worker.kill()
                return failure("Sandbox.Timedout", f"Task timed out after {function.timeout:.2f} seconds")
            return _result(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            worker.kill()
            return crashed()


def failure(kind: str, message: str) -> Result:
    """Return the result of an invocation that failed."""
    return {"body": {"errorType": kind, "errorMessage": message}, "error": True, "log": f"{kind}: {message}"}


def crashed() -> Result:
    """Return the result of an invocation whose process died."""
    return failure("Runtime.ExitError", "Error: Runtime exited with error: signal: killed")


def memory_of(pid: int) -> int:
    """Return the memory of a process in bytes: its proportional set size (PSS), in which shared pages are divided.

    Without PSS this is its resident set; it is 0 if neither is known or the process has ended.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _result(reply: bytes) -> Result:
    body = json.loads(reply[1:])
    if reply[:1] == _RESULT:
        return {"body": body}
    return {"body": body, "error": True, "log": f"{body['errorType']}: {body['errorMessage']}"}


# The rest runs inside a worker process.


def serve(pipe: Connection, group: Group, variables: dict[str, str], log: str) -> None:
    """Run one invocation after another until the pipe closes."""
    _redirect(log)
    threading.Thread(target=_end_with_the_emulator, daemon=True).start()
    os.environ.clear()
    os.environ.update(variables, LAMBDA_TASK_ROOT=group.code)
    sys.path[:] = [group.code, *_layer_paths(group.layers), *(path for path in sys.path if not _is_ours(path))]
    os.chdir(group.code)
    handlers: dict[str, Callable[[Any, Any], Any]] = {}
    while True:
        try:
            call = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        reply = _run(call, handlers, pipe)
        pipe.send_bytes(reply)


def _run(call: dict[str, Any], handlers: dict[str, Callable[[Any, Any], Any]], pipe: Connection) -> bytes:
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = call["name"]
    os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = str(call["memory"])
    os.environ["_HANDLER"] = name = call["handler"]
    os.environ["_X_AMZN_TRACE_ID"] = call["trace_id"] or ""
    try:
        if name not in handlers:
            module, _, attribute = name.replace("/", ".").rpartition(".")
            handlers[name] = getattr(importlib.import_module(module), attribute)
            pipe.send_bytes(_IMPORTED)
        return _RESULT + json.dumps(handlers[name](call["event"], Context(call))).encode()
    except Exception as error:  # noqa: BLE001 - any exception of a handler is its result
        traceback.print_exc()
        payload = {
            "errorType": type(error).__name__,
            "errorMessage": str(error),
            "requestId": call["request_id"],
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return _ERROR + json.dumps(payload).encode()


class Context:
    """The context object that Lambda passes to a handler."""

    identity = None
    client_context = None

    def __init__(self, call: dict[str, Any]) -> None:
        self.function_name = call["name"]
        self.function_version = call["version"]
        self.memory_limit_in_mb = call["memory"]
        self.invoked_function_arn = call["arn"]
        self.aws_request_id = call["request_id"]
        self.log_group_name = f"/aws/lambda/{call['name']}"
        self.log_stream_name = f"worker-{os.getpid()}"
        self._deadline = time.monotonic() + call["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the invocation times out."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def _end_with_the_emulator() -> None:
    """Exit when the emulator has ended, even if it was killed and a handler is running."""
    if emulator := multiprocessing.parent_process():
        emulator.join()
        os._exit(1)


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]


def _is_ours(path: str) -> bool:
    """Return whether a path is in the repository but not in its environment: artifacts must not import from there."""
    full = Path(path).resolve()
    return full.is_relative_to(REPOSITORY) and not full.is_relative_to(Path(sys.prefix).resolve())


def _layer_paths(layers: Iterable[str]) -> list[str]:
    site_packages = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    return [str(Path(layer, folder)) for layer in layers for folder in (site_packages, "python")]
