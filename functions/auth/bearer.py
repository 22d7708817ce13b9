"""The Authorization header, for the few who read it: the authorizer, and logout, which needs none."""

from collections.abc import Mapping


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer <token>`, None where there is no such header. Names are in lower case."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
