"""Patches for what the pinned emulator lacks or does differently from AWS, applied in its process."""

import copy
import inspect
import json
import textwrap
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from types import ModuleType
from typing import Any

import ministack.app
import yaml
from ministack.services import (
    apigateway,
    apigateway_v1,
    cloudformation,
    dynamodb,
    lambda_svc,
    ses,
    sns,
    sqs,
    stepfunctions,
)
from ministack.services.cloudformation import provisioners

from emulator.journal import Journal

PINNED = "1.5.33"
ANY_METHOD = "x-amazon-apigateway-any-method"
GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"
ENDED_BY_A_STOP = {"UPDATE_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE", "CREATE_IN_PROGRESS": "CREATE_FAILED"}
"""What a deployment becomes if the emulator stops meanwhile: one that can be repeated, or that has to be deleted."""
_TABLE_CREATED = "    _dynamodb._tables[name] = table\n"
_ENABLE_TIME_TO_LIVE = """
    if ttl := props.get("TimeToLiveSpecification"):
        _dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": ttl})
"""
_NESTED_PARSED = "    template = _parse_template(template_body)\n"
_NESTED_TRANSFORMED = """    from ministack.services.cloudformation.engine import _apply_transforms
    template = _apply_transforms(_parse_template(template_body), [
        {"Key": key, "Value": str(value)} for key, value in (props.get("Parameters") or {}).items()
    ])
"""
_NESTED_UPDATED = "                        old_tagged, new_tagged, child_name, child_logical_id,\n"
_WITH_ATTRIBUTES = "                        old_attrs=prev.get('Attributes'),\n"
_BATCH_DONE = """            else:
                processed_any = True
                _esm_backoff_until.pop(esm_id, None)
"""
_REDELIVER_FAILED = """
                done = _delivered(_ddb.stream_records_since(table_name, pos, raw_len), result)
                if done < raw_len:
                    raw_len = done
                    _esm_backoff_until[esm_id] = time.time() + _ESM_BACKOFF_SECONDS
"""
_CALLED_BACK = """            _call_lambda(func_ref, lambda_payload)
        except _ExecutionError:
"""
_CALL_FAILED = """            if not evt.is_set():
                _task_tokens.pop(token, None)
                raise
"""
_TASK_ERROR = """body.get("errorType") or "Lambda." + body.get("__type", "Unknown")"""


class PatchError(SystemExit):
    """The emulator is not the one that a patch was written for."""


def check_version() -> None:
    """Raise PatchError unless the emulator is the pinned version: patches depend on its internals."""
    found = version("ministack")
    if found != PINNED:
        raise PatchError(f"The patches in emulator/ are for ministack {PINNED}, not {found}: look through them first.")


def edit(module: ModuleType, name: str, *changes: str) -> None:
    """Edit the source of a function: `changes` are old, new, old, new, and so on.

    The function object stays, so references to it also run the new code. Raises PatchError unless each old text occurs
    exactly once.
    """
    original = getattr(module, name)
    source = textwrap.dedent(inspect.getsource(original))
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        if (count := source.count(old)) != 1:
            raise PatchError(f"{module.__name__}.{name} has changed: {old.strip()!r} occurs {count} times.")
        source = source.replace(old, new)
    scope: dict[str, Any] = {}
    exec(compile(source, f"<patched {module.__name__}>", "exec"), vars(module), scope)  # noqa: S102
    original.__code__ = scope[name].__code__


def replace(module: ModuleType, name: str, old: Any, new: Any) -> None:
    """Replace the value of a constant. Raises PatchError if it is not `old`."""
    if (found := getattr(module, name)) != old:
        raise PatchError(f"{module.__name__}.{name} has changed: it is {found!r}, not {old!r}.")
    setattr(module, name, new)


def wrap(module: ModuleType, name: str, parameters: str, wrapper: Callable[..., Any]) -> None:
    """Replace a function by `wrapper(original, ...)`.

    Raises PatchError unless `parameters`, space-separated, are the first parameters of the function.
    """
    original = getattr(module, name)
    found = " ".join(list(inspect.signature(original).parameters)[: len(parameters.split())])
    if found != parameters:
        raise PatchError(f"{module.__name__}.{name} has changed: it takes ({found}), not ({parameters}).")

    def patched(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(module, name, patched)


def apply() -> None:
    """Apply the patches that depend on nothing but the emulator."""
    check_version()
    # The OpenAPI import skips ANY, although the gateway serves it.
    apigateway_v1._OPENAPI_HTTP_METHODS.add("any")
    wrap(apigateway_v1, "_import_path_item", "api_id path path_item", _import_any_method)
    # It also drops the responses of mock integrations, which the CORS preflights of SAM are.
    wrap(apigateway_v1, "_import_operation", "api_id resource_id http_method operation", _import_mock_responses)
    # It also drops the gateway responses.
    wrap(apigateway_v1, "_import_rest_api", "spec", _import_gateway_responses)
    # Executions start immediately, as on AWS, instead of after 150 ms.
    edit(stepfunctions, "_run_execution", "time.sleep(0.15)\n", "pass\n")
    # State machine definitions may be YAML. The emulator reads JSON only.
    wrap(provisioners, "_sfn_definition", "props", _definition_as_json)
    # The SAM and Include transforms also apply to the template of a nested stack. Resources that an update does not
    # change keep their attributes; otherwise the outputs of the nested stack are lost.
    nested = (_NESTED_PARSED, _NESTED_TRANSFORMED, _NESTED_UPDATED, _NESTED_UPDATED + _WITH_ATTRIBUTES)
    edit(provisioners, "_cfn_nested_stack_deploy", *nested)
    # The template can enable the time to live of a table.
    edit(provisioners, "_ddb_create", _TABLE_CREATED, _TABLE_CREATED + _ENABLE_TIME_TO_LIVE)
    # A throttled function fails its state with the error that `Retry` lists, not with an unknown error.
    edit(stepfunctions, "_call_lambda", 'body.get("errorType", "Lambda.Unknown")', _TASK_ERROR)
    # A function that dies before its task token is used fails the state, so `Retry` applies before the timeout.
    edit(stepfunctions, "_invoke_with_callback", _CALLED_BACK + "            pass\n", _CALLED_BACK + _CALL_FAILED)
    # Text messages have a timestamp, as mails do.
    edit(sns, "_publish", '"PhoneNumber": phone_number,', '"PhoneNumber": phone_number, "Timestamp": time.time(),')
    # ExcludePunctuation applies to generated secrets.
    punctuation = "+ _string.punctuation"
    optional_punctuation = '+ ("" if gen.get("ExcludePunctuation") else _string.punctuation)'
    edit(provisioners, "_sm_secret_string", punctuation, optional_punctuation)
    # The records of streams survive a restart. The positions of readers do, so without the records they miss new ones.
    wrap(dynamodb, "get_state", "", _state_with_streams)
    wrap(dynamodb, "_restore_state", "data", _restore_streams)
    # Records of a stream that the consumer reports as failed are delivered again.
    lambda_svc._delivered = delivered
    edit(lambda_svc, "_poll_dynamodb_streams", _BATCH_DONE, _BATCH_DONE + _REDELIVER_FAILED)
    # WebSocket routes run functions as all other callers do, so that they use the shared workers.
    edit(apigateway, "_invoke_ws_lambda", 'if code_zip and runtime.startswith(("python", "nodejs")):', "if False:")
    # Two concurrent batches per queue are enough. The default of five starts five workers for the first messages.
    replace(lambda_svc, "_ESM_SQS_DEFAULT_CONCURRENCY", 5, 2)
    # The output of handlers is in the logs folder of the run. A log stream per invocation would fill memory.
    wrap(lambda_svc, "_emit_lambda_logs", "func request_id log_text error duration_ms", lambda *args, **kwargs: None)


def run_functions_with(run: Callable[[dict[str, Any], Any, str], dict[str, Any]]) -> None:
    """Execute every Python function by `run(record, event, request id)`."""
    wrap(lambda_svc, "_execute_function_warm", "func event request_id", lambda _, *args: run(*args))


def keep_journal(journal: Journal) -> None:
    """Write every change of data to a journal, and replay it at start before anything reads the data."""
    replayed = False

    def set_item(original: Callable[..., Any], table: dict[str, Any], partition: str, sort: str, item: Any) -> Any:
        journal.add_item(table["TableName"], partition, sort, item)
        return original(table, partition, sort, item)

    def remove_item(original: Callable[..., Any], table: dict[str, Any], partition: str, sort: str) -> Any:
        journal.add_item(table["TableName"], partition, sort, None)
        return original(table, partition, sort)

    def emit(original: Callable[..., None], table_name: str, *rest: Any) -> None:
        count = len(dynamodb._stream_records.get(table_name) or [])
        original(table_name, *rest)
        for record in (dynamodb._stream_records.get(table_name) or [])[count:]:
            journal.add_record(table_name, record)

    async def handle(original: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        try:
            return await original(*args)
        finally:
            journal.write_items()

    def send_message(original: Callable[..., Any], data: dict[str, Any], url: str) -> Any:
        result = original(data, url)
        queue = sqs._get_q(data.get("QueueUrl", url))
        key = next(key for key, each in sqs._queues._data.items() if each is queue)
        journal.write_messages(key, [each for each in queue["messages"][-1:] if each["id"] == result["MessageId"]])
        return result

    def load(original: Callable[[], None]) -> None:
        nonlocal replayed
        original()
        journal.replay()
        replayed = True
        for stack in cloudformation._stacks._data.values():
            stack["StackStatus"] = ENDED_BY_A_STOP.get(stack["StackStatus"], stack["StackStatus"])
        if lambda_svc._esms.has_any():
            lambda_svc._ensure_poller()

    wrap(dynamodb, "_set_item", "table pk_val sk_val item", set_item)
    wrap(dynamodb, "_remove_item", "table pk_val sk_val", remove_item)
    wrap(dynamodb, "_emit_stream_event", "table_name event_name old_item new_item", emit)
    wrap(dynamodb, "handle_request", "method path headers body query_params", handle)
    wrap(sqs, "_act_send_message", "data qurl", send_message)
    sqs._HANDLERS["SendMessage"] = sqs._act_send_message
    wrap(lambda_svc, "_ensure_poller", "", lambda original: original() if replayed else None)
    wrap(ministack.app, "_load_persisted_state", "", load)
    wrap(ministack.app, "save_all", "services", lambda _, services: journal.save(services))
    # Mails are part of the state.
    wrap(ses, "get_state", "", lambda original: original() | {"_sent_emails": copy.deepcopy(ses._sent_emails)})
    wrap(ses, "_restore_state", "data", _restore_mails)


def save_state() -> None:
    """Write the state to disk now. The emulator does so only when it stops."""
    ministack.app.save_all(ministack.app._build_persistence_save_dict())


def delivered(records: list[dict[str, Any]], result: dict[str, Any]) -> int:
    """Return how many records of a stream precede the first that the consumer reports as failed."""
    failures = (result.get("body") or {}).get("batchItemFailures") or []
    failed = {failure["itemIdentifier"] for failure in failures}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    return next((index for index, number in enumerate(numbers) if number in failed), len(records))


def _state_with_streams(original: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    streams = {"stream_records": dynamodb._stream_records, "stream_trimmed": dynamodb._stream_trimmed}
    return original() | copy.deepcopy(streams)


def _restore_streams(original: Callable[..., None], data: dict[str, Any] | None) -> None:
    original(data)
    dynamodb._stream_records.update((data or {}).get("stream_records", {}))
    dynamodb._stream_trimmed.update((data or {}).get("stream_trimmed", {}))


def _restore_mails(original: Callable[..., None], data: dict[str, Any]) -> None:
    original(data)
    ses._sent_emails.update(data.get("_sent_emails", {}))


def _import_any_method(original: Callable[..., Any], api_id: str, path: str, item: dict[str, Any], *rest: Any) -> Any:
    methods = {"any" if method == ANY_METHOD else method: operation for method, operation in item.items()}
    return original(api_id, path, methods, *rest)


def _import_mock_responses(
    original: Callable[..., Any], api_id: str, resource: str, method: str, operation: dict[str, Any], *rest: Any
) -> Any:
    result = original(api_id, resource, method, operation, *rest)
    integration = operation.get("x-amazon-apigateway-integration") or {}
    if str(integration.get("type")).lower() == "mock":
        stored = apigateway_v1._resources[api_id][resource]["resourceMethods"][method]["methodIntegration"]
        stored["requestTemplates"] = integration.get("requestTemplates") or {}
        for pattern, response in (integration.get("responses") or {}).items():
            apigateway_v1._put_integration_response(
                api_id,
                resource,
                method,
                str(response["statusCode"]),
                {**response, "selectionPattern": "" if pattern == "default" else pattern},
            )
    return result


def _definition_as_json(original: Callable[..., str], props: dict[str, Any]) -> str:
    return json.dumps(yaml.safe_load(original(props)))  # JSON is also YAML


def _import_gateway_responses(original: Callable[..., Any], spec: dict[str, Any], *rest: Any) -> Any:
    api_id = original(spec, *rest)
    for kind, response in (spec.get(GATEWAY_RESPONSES) or {}).items():
        status, _, body = apigateway_v1._put_gateway_response(api_id, kind, response)
        if status >= 400:
            raise ValueError(f"Gateway response {kind}: {body!r}")
    return api_id
