"""Refuses requests that a web page may have sent. On the AWS port they could run code on this machine."""

from collections.abc import Mapping
from typing import Any

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_OTHER_SITES = ("cross-site", "same-site")


def refusal(scope: Mapping[str, Any], *, aws: bool) -> str | None:
    """Return why a request is refused, or None if it is served. Only the API port serves requests of web pages.

    Checking `Host` prevents DNS rebinding, by which the name of an attacker's site resolves to this machine.
    """
    values: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").lower())
    hosts = values.get("host", [])
    if len(hosts) != 1 or hosts[0] not in [f"{host}:{scope['server'][1]}" for host in _LOCAL_HOSTS]:
        return f"The Host header must be localhost:{scope['server'][1]} or 127.0.0.1:{scope['server'][1]}."
    if aws and "origin" in values:
        return "The AWS port does not serve web pages: the request has an Origin header."
    if aws and any(site in _OTHER_SITES for site in values.get("sec-fetch-site", [])):
        return "The AWS port does not serve web pages: Sec-Fetch-Site names another site."
    return None
