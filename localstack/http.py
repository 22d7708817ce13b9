"""A small HTTP client for the operator's tools and the tests: one connection a request, and nothing is ever retried."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 40.0


@dataclass(frozen=True)
class Answer:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, list[str]]
    content: bytes

    @property
    def json(self) -> Any:
        """The body, parsed. Raises ValueError where it is no JSON."""
        return json.loads(self.content)

    def header(self, name: str) -> str | None:
        """A header's (last) value."""
        values = self.headers.get(name.lower())
        return values[-1] if values else None


def send(method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Sends one request; a `body` that is neither bytes nor None goes as JSON. Raises OSError where nobody answers."""
    parts = urlsplit(url)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body=body, headers=sent)
        response = connection.getresponse()
        received: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            received.setdefault(name.lower(), []).append(value)
        return Answer(response.status, received, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()
