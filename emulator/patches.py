"""What the pinned emulator lacks or does differently from AWS, mended in its process; each mend with its reason."""

import copy
import inspect
import json
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import Any

import ministack.app
import yaml
from ministack.services import apigateway, apigateway_v1, dynamodb, lambda_svc, sns, stepfunctions
from ministack.services.cloudformation import provisioners

PINNED = "1.5.33"
ANY_METHOD = "x-amazon-apigateway-any-method"
GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"
_TABLE_MADE = "    _dynamodb._tables[name] = table\n"
_SWITCH_ON_TIME_TO_LIVE = """
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
_KEEP_WHAT_FAILED = """
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
    """The emulator is not what a mend was written for."""


def check_version() -> None:
    """Mends reach into the emulator, so it is the pinned version or none."""
    found = version("ministack")
    if found != PINNED:
        raise PatchError(f"The patches in emulator/ are for ministack {PINNED}, not {found}: look through them first.")


def edit(module: ModuleType, name: str, *changes: str) -> None:
    """Replace texts in a function's source, given as old, new, old, new ..., for everyone who holds the function.

    Raises PatchError unless each old text is there exactly once.
    """
    original = getattr(module, name)
    source = textwrap.dedent(inspect.getsource(original))
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        if (count := source.count(old)) != 1:
            raise PatchError(f"{module.__name__}.{name} has changed: {old.strip()!r} is there {count} times.")
        source = source.replace(old, new)
    scope: dict[str, Any] = {}
    exec(compile(source, f"<mended {module.__name__}>", "exec"), vars(module), scope)  # noqa: S102
    original.__code__ = scope[name].__code__


def replace(module: ModuleType, name: str, old: Any, new: Any) -> None:
    """Replace a constant that has this value."""
    if (found := getattr(module, name)) != old:
        raise PatchError(f"{module.__name__}.{name} has changed: it is {found!r}, not {old!r}.")
    setattr(module, name, new)


def wrap(module: ModuleType, name: str, parameters: str, wrapper: Callable[..., Any]) -> None:
    """Replace a function by `wrapper(original, ...)`, which relies on these (first) parameters."""
    original = getattr(module, name)
    found = " ".join(list(inspect.signature(original).parameters)[: len(parameters.split())])
    if found != parameters:
        raise PatchError(f"{module.__name__}.{name} has changed: it takes ({found}), not ({parameters}).")

    def mended(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(module, name, mended)


def apply() -> None:
    """Apply the mends that need nothing but the emulator."""
    check_version()
    # The OpenAPI import skips ANY, which the gateway itself serves.
    apigateway_v1._OPENAPI_HTTP_METHODS.add("any")
    wrap(apigateway_v1, "_import_path_item", "api_id path path_item", _import_any_method)
    # It also drops what a mock integration answers: the CORS preflight that SAM writes.
    wrap(apigateway_v1, "_import_operation", "api_id resource_id http_method operation", _import_mock_responses)
    # It also drops the gateway responses.
    wrap(apigateway_v1, "_import_rest_api", "spec", _import_gateway_responses)
    # An execution starts at once, as on AWS, not after 150 ms.
    edit(stepfunctions, "_run_execution", "time.sleep(0.15)\n", "pass\n")
    # A state machine's file may be YAML; the emulator reads JSON only.
    wrap(provisioners, "_sfn_definition", "props", _definition_as_json)
    # A nested stack's template goes through the SAM and Include transforms, as its parent's does, and resources that an
    # update leaves as they are keep their attributes: without them the nested stack's outputs would be lost.
    nested = (_NESTED_PARSED, _NESTED_TRANSFORMED, _NESTED_UPDATED, _NESTED_UPDATED + _WITH_ATTRIBUTES)
    edit(provisioners, "_cfn_nested_stack_deploy", *nested)
    # A table's time to live is switched on from the template.
    edit(provisioners, "_ddb_create", _TABLE_MADE, _TABLE_MADE + _SWITCH_ON_TIME_TO_LIVE)
    # A throttled function is that to the states' Retry, not an unknown error.
    edit(stepfunctions, "_call_lambda", 'body.get("errorType", "Lambda.Unknown")', _TASK_ERROR)
    # A function that dies before its task token is used fails the state, for its Retry, and not by the time-out alone.
    edit(stepfunctions, "_invoke_with_callback", _CALLED_BACK + "            pass\n", _CALLED_BACK + _CALL_FAILED)
    # Text messages tell when they were sent, as mails do.
    edit(sns, "_publish", '"PhoneNumber": phone_number,', '"PhoneNumber": phone_number, "Timestamp": time.time(),')
    # A generated secret heeds ExcludePunctuation.
    punctuation = "+ _string.punctuation"
    heeded = '+ ("" if gen.get("ExcludePunctuation") else _string.punctuation)'
    edit(provisioners, "_sm_secret_string", punctuation, heeded)
    # A stream's records outlive a restart, as the positions of its readers do; else what comes next is never read.
    wrap(dynamodb, "get_state", "", _state_with_streams)
    wrap(dynamodb, "_restore_state", "data", _restore_streams)
    # Records of a stream's batch that the consumer reports as failed are delivered again.
    lambda_svc._delivered = delivered
    edit(lambda_svc, "_poll_dynamodb_streams", _BATCH_DONE, _BATCH_DONE + _KEEP_WHAT_FAILED)
    # WebSocket routes reach their functions by the one way all others take, so that they share the workers.
    edit(apigateway, "_invoke_ws_lambda", 'if code_zip and runtime.startswith(("python", "nodejs")):', "if False:")
    # Two batches of a queue at once are plenty here; by default five workers would start for a queue's first messages.
    replace(lambda_svc, "_ESM_SQS_DEFAULT_CONCURRENCY", 5, 2)
    # Handlers' output is in the run's logs folder; a log stream an invocation would only fill memory and the state.
    wrap(lambda_svc, "_emit_lambda_logs", "func request_id log_text error duration_ms", lambda *args, **kwargs: None)


def run_functions_with(run: Callable[[dict[str, Any], Any, str], dict[str, Any]]) -> None:
    """Let `run(record, event, request id)` execute every Python function, whoever invokes it."""
    wrap(lambda_svc, "_execute_function_warm", "func event request_id", lambda _, *args: run(*args))


def save_state() -> None:
    """Write the state to disk now; the emulator itself does it only when it stops."""
    ministack.app.save_all(ministack.app._build_persistence_save_dict())


def delivered(records: list[dict[str, Any]], result: dict[str, Any]) -> int:
    """How many of a stream's records come before the first that the consumer reports as failed."""
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
    return json.dumps(yaml.safe_load(original(props)))  # JSON is YAML, too


def _import_gateway_responses(original: Callable[..., Any], spec: dict[str, Any], *rest: Any) -> Any:
    api_id = original(spec, *rest)
    for kind, response in (spec.get(GATEWAY_RESPONSES) or {}).items():
        status, _, body = apigateway_v1._put_gateway_response(api_id, kind, response)
        if status >= 400:
            raise ValueError(f"Gateway response {kind}: {body!r}")
    return api_id
