"""What an endpoint gets and returns: a request that passed every check, and a reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from aws_lambda_powertools.shared.cookies import Cookie
from pydantic import BaseModel

from common import clock, ids
from common.aws import keyring
from common.contracts.events import Actor
from common.errors import Refusal
from common.http.cursors import Cursors
from common.idempotency import JSON, IdempotencyKey, KeyedAnswer

BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)

RECENT_LOGIN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the authorizer found them. `email_verified` is as it was when the token was issued.

    `session_id` is the id of the session, or of the API key. `expires_at` is when the token expires, "" for a key.
    `auth_time` is when the user last proved who they are, in seconds since 1970 (OpenID Connect Core); 0 for a key.
    """

    user_id: str
    role: str
    session_id: str
    scopes: frozenset[str]
    email_verified: bool
    expires_at: str
    auth_time: int
    has_second_factor: bool

    @property
    def is_key(self) -> bool:
        """Whether a server calls with an API key of the user."""
        return self.session_id.startswith("key_")

    @property
    def is_admin(self) -> bool:
        """Whether the caller may act as an admin. An admin without a second factor acts as a customer."""
        return self.role == "admin" and self.has_second_factor

    def has_logged_in_recently(self, now: datetime) -> bool:
        """Return whether the user logged in, or authenticated again, in the last 5 minutes. A key never did."""
        return not self.is_key and 0 <= now.timestamp() - self.auth_time <= RECENT_LOGIN_SECONDS


@dataclass(frozen=True, slots=True)
class Request(Generic[BodyT, QueryT]):
    """A request that passed every check: its validated body and query, and where it came from."""

    body: BodyT
    query: QueryT
    path: str
    idempotency_key: IdempotencyKey | None
    request_id: str
    ip: str
    user_agent: str
    cookies: Mapping[str, str]
    headers: Mapping[str, str]
    _principal: Principal | None
    _path_parameters: Mapping[str, str]

    @property
    def principal(self) -> Principal:
        """The caller. Raises Refusal `unauthenticated` if a public route was called without a token."""
        if self._principal is None:
            raise Refusal("unauthenticated")
        return self._principal

    @property
    def actor(self) -> Actor:
        """The caller, as events and the audit log name them."""
        who = self._principal
        return Actor(who.user_id if who else None, who.session_id if who else None, self.ip, self.user_agent)

    def require_recent_login(self) -> None:
        """Raise Refusal `reauthentication_required` if the caller has not logged in recently.

        For endpoints of which only some requests need it; the others say so with their route.
        """
        if not self.principal.has_logged_in_recently(clock.now()):
            raise Refusal("reauthentication_required")

    def id(self, parameter: str) -> str:
        """Return an id from the path. Raises Refusal `not_found` if it is malformed."""
        value = self._path_parameters.get(parameter, "")
        if not ids.is_id(value, ids.prefix_of(parameter)):
            raise Refusal("not_found")
        return value

    @property
    def cursors(self) -> Cursors:
        """The cursors of this list, for this caller and these filters."""
        caller = self._principal.user_id if self._principal else ""
        return Cursors(caller, self.path, self.query.model_dump(mode="json"), lambda: keyring("cursor"))


@dataclass(frozen=True, slots=True)
class Reply:
    """An endpoint's answer. `body` is a response model, plain JSON data, or text that is already rendered."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[Cookie, ...] = ()
    content_type: str = JSON

    @classmethod
    def created(cls, body: Any, location: str, status: int = 201) -> "Reply":
        """Return a 201 (or 202) with the location of the new resource."""
        return cls(status, body, {"Location": location})

    @classmethod
    def keyed(cls, keyed: KeyedAnswer) -> "Reply":
        """Return an answer that was stored with its idempotency key, byte for byte."""
        answer = keyed.answer
        headers = {"Location": answer.location} if answer.location else {}
        return cls(answer.status, answer.body, _replayed(headers, keyed.replayed), content_type=answer.content_type)

    @classmethod
    def done(cls, status: int = 204, *, replayed: bool = False, location: str | None = None) -> "Reply":
        """Return an answer without a body. `replayed` says that the command was done before under this key."""
        return cls(status, headers=_replayed({"Location": location} if location else {}, replayed))

    @classmethod
    def page(cls, items: list[Any], next_cursor: str | None, **extra: Any) -> "Reply":
        """Return a page of a list."""
        return cls(200, {"data": items, "next_cursor": next_cursor, **extra})


def _replayed(headers: Mapping[str, str], replayed: bool) -> dict[str, str]:
    return {**headers, **({"Idempotent-Replayed": "true"} if replayed else {})}
