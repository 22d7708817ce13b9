"""Logs and metrics. Neither ever holds a secret, code, PIN, token, card number or password."""

from functools import cache

from aws_lambda_powertools import Logger, Metrics


@cache
def logger() -> Logger:
    """Return the logger of this process. Callers log ids and problem codes, never bodies."""
    return Logger(service="remit", use_rfc3339=True, utc=True, log_uncaught_exceptions=False)


@cache
def metrics() -> Metrics:
    """Return the metrics of this process, written as CloudWatch embedded metric lines."""
    return Metrics(namespace="Remit", service="remit")
