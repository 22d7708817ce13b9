"""The one surface of every endpoint: problem+json, the order of checks, one log line, one metric, the principal."""

from common.http.app import Api, Principal, Reply, Request

__all__ = ["Api", "Principal", "Reply", "Request"]
