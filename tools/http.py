"""A small HTTP client for tools and tests. It opens a connection for each request and never retries."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 40.0


@dataclass(frozen=True)
class Answer:
    """The answer of a server. Header names are in lower case."""

    status: int
    headers: Mapping[str, list[str]]
    content: bytes

    @property
    def json(self) -> Any:
        """Return the parsed body. Raises ValueError if it is not JSON."""
        return json.loads(self.content)

    def header(self, name: str) -> str | None:
        """Return the last value of a header."""
        values = self.headers.get(name.lower())
        return values[-1] if values else None


def send(method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request. A `body` other than bytes is sent as JSON. Raises OSError if there is no answer."""
    parts = urlsplit(url)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
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
