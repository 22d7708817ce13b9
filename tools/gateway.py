"""Write the gateway's definition from the routes that the endpoints register: `python -m tools.gateway [--check]`.

`gateway.yaml` is the REST API, `gateway-policy.yaml` the functions that it may invoke. The root template includes both
with AWS::Include, which takes no YAML anchors and no short forms of intrinsic functions.
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from common.http.problems import PROBLEMS

from emulator.settings import ROOT

_AUTHORIZER = "auth-authorizer"
# Security schemes and for how long the gateway keeps what the authorizer said. Paths that move money ask every time.
_CACHED, _UNCACHED = "Bearer", "BearerUncached"
_CACHE_SECONDS = {_CACHED: 60, _UNCACHED: 0}
_HANDLER = re.compile(r"^ *Handler: (functions\.(\w+)\.api\.(\w+))\.handler$", re.MULTILINE)
_HEADER = "# Written by `make gateway` from the registered routes. Do not edit it.\n"
_ROLE = {"Fn::GetAtt": ["GatewayRole", "Arn"]}
_ORIGIN_HEADERS: dict[str, Any] = {
    "Access-Control-Allow-Origin": {"Fn::Sub": "'${AllowedOrigin}'"},
    "Access-Control-Allow-Credentials": "'true'",
}
# What every answer carries, the gateway's own errors too (common.http.app for the others).
_ERROR_HEADERS = {
    "Request-Id": "context.requestId",
    "Vary": "'Origin'",
    "Content-Type": "'application/problem+json'",
    "Cache-Control": "'no-store'",
    "X-Content-Type-Options": "'nosniff'",
    "Strict-Transport-Security": {
        "Fn::If": ["OnAws", "'max-age=63072000; includeSubDomains'", {"Ref": "AWS::NoValue"}]
    },
}
_PREFLIGHT_HEADERS = _ORIGIN_HEADERS | {
    "Access-Control-Allow-Methods": "'GET,POST,PUT,PATCH,DELETE'",
    "Access-Control-Allow-Headers": "'Authorization,Content-Type,Idempotency-Key'",
    "Access-Control-Max-Age": "'600'",
}
# The gateway's own errors: the problem that the client gets, its detail if not the usual one, and further headers.
_RETRY = {"Retry-After": "'1'"}
_ERRORS: dict[str, tuple[str, str, dict[str, str]]] = {
    "MISSING_AUTHENTICATION_TOKEN": ("not_found", "No such route.", {}),
    # An unknown route with a bearer token: the gateway takes the token for an AWS signature.
    "INVALID_SIGNATURE": ("not_found", "No such route.", {}),
    "EXPIRED_TOKEN": ("not_found", "No such route.", {}),
    "RESOURCE_NOT_FOUND": ("not_found", "No such route.", {}),
    "UNAUTHORIZED": ("unauthenticated", "", {"WWW-Authenticate": "'Bearer'"}),
    "ACCESS_DENIED": ("unauthenticated", "", {"WWW-Authenticate": "'Bearer'"}),
    "WAF_FILTERED": ("forbidden", "The firewall refused this request.", {}),
    "REQUEST_TOO_LARGE": ("body_too_large", "", {}),
    "UNSUPPORTED_MEDIA_TYPE": ("unsupported_media_type", "", {}),
    "THROTTLED": ("rate_limited", "", _RETRY),
    "QUOTA_EXCEEDED": ("rate_limited", "", _RETRY),
    "BAD_REQUEST_BODY": ("malformed_json", "", {}),
    "BAD_REQUEST_PARAMETERS": ("validation_failed", "", {}),
    "INTEGRATION_FAILURE": ("unavailable", "", _RETRY),
    "INTEGRATION_TIMEOUT": ("unavailable", "", _RETRY),
    "AUTHORIZER_FAILURE": ("unavailable", "", _RETRY),
    "AUTHORIZER_CONFIGURATION_ERROR": ("unavailable", "", _RETRY),
    "API_CONFIGURATION_ERROR": ("unavailable", "", _RETRY),
    "DEFAULT_4XX": ("validation_failed", "The gateway can't accept this request: check its method and headers.", {}),
    "DEFAULT_5XX": ("unavailable", "", _RETRY),
}


class GatewayError(Exception):
    """The registered routes do not fit into one definition."""


def files() -> dict[Path, str]:
    """Return the generated files and their contents."""
    endpoints = _endpoints()
    return {
        ROOT / "gateway.yaml": _HEADER + _yaml(_definition(endpoints)),
        ROOT / "gateway-policy.yaml": _HEADER + _yaml(_policy(sorted(endpoints))),
    }


def _endpoints() -> dict[str, dict[str, str | None]]:
    """Return the functions under `api/`, each with its paths and their security scheme, None for a public path.

    The authorizer is a function without paths.
    """
    found: dict[str, dict[str, str | None]] = {}
    for template in sorted((ROOT / "templates").glob("*.yaml")):
        for module, context, name in _HANDLER.findall(template.read_text()):
            api = getattr(import_module(module), "api", None)
            routes: dict[str, list[Any]] = {}
            for (_, path), route in api.routes.items() if api else ():
                routes.setdefault(path, []).append(route)
            found[f"{context}-{name.replace('_', '-')}"] = {
                path: _scheme(f"{path} in {module}", each) for path, each in routes.items()
            }
    return found


def _scheme(path: str, routes: list[Any]) -> str | None:
    """Return the security scheme of the routes of one path, which the gateway sees as one method."""
    if len({route.public for route in routes}) > 1:
        raise GatewayError(f"{path}: either all its methods are public or none")
    if routes[0].public:
        return None
    return _UNCACHED if any(route.moves_money for route in routes) else _CACHED


def _definition(endpoints: dict[str, dict[str, str | None]]) -> dict[str, Any]:
    routes = sorted(
        (path, function, scheme or "") for function, schemes in endpoints.items() for path, scheme in schemes.items()
    )
    paths = {path: {**_method(function, scheme), "options": _preflight()} for path, function, scheme in routes}
    if len(paths) < len(routes):
        raise GatewayError("Two functions register the same path")
    return {
        "openapi": "3.0.1",
        "info": {"title": {"Ref": "AWS::StackName"}, "version": "1.0"},
        "paths": paths,
        "components": {"securitySchemes": {name: _authorizer(seconds) for name, seconds in _CACHE_SECONDS.items()}},
        # With a domain of its own, the API has one address, at which certificate, firewall and logs are.
        "x-amazon-apigateway-endpoint-configuration": {
            "disableExecuteApiEndpoint": {"Fn::If": ["HasDomain", True, False]}
        },
        "x-amazon-apigateway-gateway-responses": {
            kind: _response(code, detail, headers) for kind, (code, detail, headers) in _ERRORS.items()
        },
    }


def _method(function: str, scheme: str) -> dict[str, Any]:
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": _uri(function), "credentials": _ROLE}
    security: dict[str, Any] = {"security": [{scheme: []}]} if scheme else {}
    operation = {"responses": {}, **security, "x-amazon-apigateway-integration": integration}
    return {"x-amazon-apigateway-any-method": operation}


def _preflight() -> dict[str, Any]:
    # One for each path: a greedy `/{proxy+}` would never see it, because the path's own ANY method takes OPTIONS too.
    return {
        "summary": "CORS preflight",
        # SAM wraps these into `schema`, which makes them what OpenAPI 3 wants.
        "responses": {
            "200": {"description": "CORS", "headers": {name: {"type": "string"} for name in _PREFLIGHT_HEADERS}}
        },
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {
                "default": {
                    "statusCode": "200",
                    "responseParameters": {
                        f"method.response.header.{name}": value for name, value in _PREFLIGHT_HEADERS.items()
                    },
                    "responseTemplates": {"application/json": "{}\n"},
                }
            },
        },
    }


def _authorizer(cache_seconds: int) -> dict[str, Any]:
    return {
        "type": "apiKey",
        "in": "header",
        "name": "Unused",
        "x-amazon-apigateway-authtype": "custom",
        "x-amazon-apigateway-authorizer": {
            "type": "request",
            "identitySource": "method.request.header.Authorization",
            "authorizerResultTtlInSeconds": cache_seconds,
            "authorizerUri": _uri(_AUTHORIZER),
            "authorizerCredentials": _ROLE,
        },
    }


def _response(code: str, detail: str, headers: dict[str, str]) -> dict[str, Any]:
    problem = PROBLEMS[code]
    document = {
        "type": f"/v1/problems/{code.replace('_', '-')}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail or problem.detail,
        "instance": "$context.path",
        "code": code,
        "trace_id": "$context.requestId",
    }
    all_headers = _ORIGIN_HEADERS | _ERROR_HEADERS | headers
    return {
        "statusCode": str(problem.status),
        "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in all_headers.items()},
        "responseTemplates": {"application/json": json.dumps(document, separators=(",", ":"))},
    }


def _policy(functions: list[str]) -> dict[str, Any]:
    allowed = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": [_sub(_arn(name)) for name in functions],
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _uri(function: str) -> dict[str, str]:
    service = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions"
    return _sub(f"{service}/{_arn(function)}/invocations")


def _arn(function: str) -> str:
    return (
        f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:${{AWS::StackName}}-{function}"
    )


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=10_000)


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` say which are stale; return the exit status."""
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if arguments == ["--check"]:
            print(f"{path.name} is stale: make gateway", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
