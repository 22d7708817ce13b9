"""Logs and metrics: one JSON line and one metric a request. Never a secret, code, PIN, token or password."""

from functools import cache

from aws_lambda_powertools import Logger, Metrics


@cache
def logger() -> Logger:
    """The process's logger. Callers log ids and codes, never bodies."""
    return Logger(service="remit", use_rfc3339=True, utc=True, log_uncaught_exceptions=False)


@cache
def metrics() -> Metrics:
    """The process's metrics, as CloudWatch embedded metric lines."""
    return Metrics(namespace="Remit", service="remit")


def room_of(module: str) -> str:
    """The room that a handler's module belongs to: `functions.auth.api.login` is in `auth`."""
    return module.split(".")[1]
