"""Every route of the contract: who may call it, what it takes, and which values are invalid for each field.

To add a route, add a `Route` to ROUTES; a test fails until every deployed route has one. State:

- its method and path, and who may call it (PUBLIC, ANY_TOKEN, USERS, PAYERS, OWNER, OWNER_OR_ADMIN, ADMINS);
- `person`: whether it is not for API keys; `recent`: whether it needs a login of the last 5 minutes, from everybody
  (`"all"`) or from the owner (`"owner"`);
- the fields of its body, `required` and `optional`, each as (kind, valid value); BAD has invalid values by kind;
- `queries`: its query parameters, each with invalid values; `query`: a valid query string, if one is required;
  `listed`: whether it takes `limit` and `cursor`;
- for a new kind of id in the path, its prefix in PREFIXES, and a resource of the owner in the fixture `callers` of
  test_roles.py.

test_roles.py then calls the route as everybody, and test_bad_input.py sends it every invalid request that follows from
its row and checks that nothing has changed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

LONG = "x" * 10_000
NUL, LONE, EMOJI = "a\u0000b", "a\ud800b", "\U0001f600"
ULID = "01K0000000000000000000000A"

CALLERS = (
    *("nobody", "suspended", "owner", "owner with an old login", "owner's API key", "other", "unverified"),
    *("arbiter", "admin without a second factor", "admin"),
)
"""Who calls each route. The owner of the resources is a customer; the API key has every scope."""
PASSES, NO_TOKEN, GONE, FORBIDDEN = "passes", "unauthenticated", "not_found", "forbidden"
NO_FACTOR, OLD_LOGIN, UNVERIFIED = "second_factor_required", "reauthentication_required", "email_not_verified"

PUBLIC, ANY_TOKEN, USERS, PAYERS = "public", "any token", "users", "payers"
"""`any token`: the endpoint reads the token itself, without the authorizer, and only ends its session, which an API key
does not have. `payers`: the route moves money, so it needs an Idempotency-Key."""
OWNER, OWNER_OR_ADMIN, ADMINS = "owner", "owner or admin", "admins"


def wide(digits: str) -> str:
    """Return digits as full-width Unicode characters."""
    return "".join(chr(ord(digit) + 0xFEE0) for digit in digits)


def iban_with(digits: str) -> str:
    """Return a German IBAN that has these check digits and the right remainder."""
    bodies = (f"37040044{number:010}" for number in range(97))
    return next(f"DE{digits}{body}" for body in bodies if int(f"{body}1314{digits}") % 97 == 1)


class Raw(NamedTuple):
    """JSON text that `json.dumps` cannot write."""

    text: str


TEXTS: tuple[Any, ...] = (5, 1.5, True, [], {}, NUL, LONE, LONG)
INVISIBLE = tuple(
    f"A{chr(point)}da"
    for point in (
        *(0x200B, 0x3164, 0x2060, 0xFEFF, 0x00AD, 0x2800, 0x034F, 0x115F, 0x180E, 0xFE0F, 0xFFA0, 0xE0041, 0xE0001),
        *(0x202E, 0x2066, 0x200F, 0x0007, 0x0085, 0x2028, 0xE000),
    )
)
"""Text with a character that cannot be seen, or that changes the order in which text is shown."""
BAD: Mapping[str, tuple[Any, ...]] = {
    "email": (
        *TEXTS,
        None,
        "",
        "x",
        "x@y",
        "a b@example.com",
        "a@b@example.com",
        f"{EMOJI}@example.com",
        "@example.com",
    ),
    "new password": (5, True, [], {}, None, "x" * 129, LONG),
    "password": (5, True, [], {}, None, ""),
    "name": (*TEXTS, *INVISIBLE, "", "   ", "x" * 101, "a\nb", "\u3164"),
    "person": (
        *(*TEXTS, *INVISIBLE, "", "   ", "x" * 61, "a\nb", "\u3164", "call +1 900 555 0100", "http://evil.example"),
        *("evil.example/x", "R2D2", "<b>Ada</b>", "Ada\u0301\u0301\u0301\u0301", "A" + "\u0301" * 99, "-.,'", EMOJI),
        *("Remit", "R\u0435mit", "R e m i t", "REMIT.", "Rem\u0131t"),
    ),
    "phone": (*TEXTS, "", "123", "+0123456789", "+1", "phone", "+12345678901234567", EMOJI),
    "code": (*TEXTS, None, "", "12345", "1234567", "abcdef", wide("123456"), EMOJI),
    "token": (5, True, [], {}, ""),
    "account": (*TEXTS, "", "acc_", "x", f"usr_{ULID}", f"acc_{ULID.lower()}", f"acc_{ULID}\n", f"acc_{ULID}0", EMOJI),
    "amount": (
        *(None, True, False, "100", "", [], {}, 0, -1, 1.5, 1.0, 10**15 + 1, -(10**30), 10**400),
        *(Raw("1e3"), Raw("9" * 5000), Raw("1E400"), Raw("-0"), Raw("0.1")),
    ),
    "currency": (*TEXTS, None, "", "usd", "US", "USDX", "ZZZ", "U\u0000D", EMOJI),
    "description": (5, 1.5, True, [], {}, NUL, *INVISIBLE, "x" * 501, LONG),
    "metadata": (
        *(5, True, "x", [], {"a": 5}, {"a": None}, {"a": {}}, {"a": NUL}, {"": "x"}, {"k" * 41: "x"}, {"a": "x" * 501}),
        *({"a": INVISIBLE[0]}, {INVISIBLE[0]: "x"}),
        *({NUL: "x"}, {f"k{number}": "x" for number in range(51)}),
    ),
    "destination": (
        *(None, 5, "x", [], {}, {"account_id": None}, {"unknown": "x"}, {"account_id": "x"}, {"email": "x"}),
        *({"phone": "1"}, {"user_id": f"acc_{ULID}"}, {"user_id": 5}, {"email": NUL}, {"email": LONE}),
        {"user_id": f"usr_{ULID}", "email": "a@example.com"},
    ),
    "source": (
        *(
            None,
            5,
            "x",
            [],
            {},
            {"card_id": None},
            {"unknown": "x"},
            {"card_id": "x"},
            {"bank_account_id": f"crd_{ULID}"},
        ),
        *({"card_id": f"crd_{ULID}", "bank_account_id": f"bka_{ULID}"}, {"card_id": 5}, {"account_id": f"acc_{ULID}"}),
    ),
    "account type": (*TEXTS, "", "savings", "DEBIT"),
    "card number": (
        *TEXTS,
        None,
        "",
        "4242424242424241",
        "0" * 12,
        "0" * 16,
        "3400000000000000",
        "4" * 20,
        "4242_4242_4242_4242",
        wide("4242424242424242"),
    ),
    "month": (None, "12", 1.5, True, [], {}, 0, 13, -1, 10**30),
    "year": (None, "2039", 2039.5, True, [], {}, 0, 2020, 99999, -2039),
    "cvv": (*TEXTS, None, "", "73", "73737", "abc", wide("737")),
    "iban": (
        *TEXTS,
        None,
        "",
        "DE00370400440532013000",
        "XX",
        EMOJI,
        *(iban_with(digits) for digits in ("00", "01", "99")),
    ),
    "bank": (*TEXTS, None, "", "no-such-bank", EMOJI),
    "challenge": (5, 1.5, True, [], {}, None, "", LONG),
    "any code": (5, 1.5, True, [], {}, None, "", LONG),
    "factor": (*TEXTS, "", "totp", "sms", "NONE"),
    "scopes": (*TEXTS, None, "read", ["admin"], [5], [None], ["read"] * 9),
    "role": (*TEXTS, "", "owner", "ADMIN"),
    "user status": (*TEXTS, "", "deleted", "closed"),
    "flag": (5, "true", "", [], {}),
    "threshold": ("100", "", True, [], {}, -1, 1.5, 10**15 + 1, Raw("1e3")),
    "limit": ("100", "", True, [], {}, 0, -1, 1.5, 10**15 + 1, Raw("1e3")),
    "account status": (*TEXTS, "", "closed", "ACTIVE"),
}


Fields = Mapping[str, tuple[str, Any]]


@dataclass(frozen=True)
class Route:
    """A route of the contract. Its fields are described at the top of this module."""

    method: str
    path: str
    access: str
    required: Fields = field(default_factory=dict)
    optional: Fields = field(default_factory=dict)
    queries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    query: str = ""
    listed: bool = False
    person: bool = False
    recent: Literal["", "owner", "all"] = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def fields(self) -> Fields:
        """The fields of the body."""
        return {**self.required, **self.optional}

    @property
    def is_public(self) -> bool:
        """Whether the route has no authorizer."""
        return self.access in (PUBLIC, ANY_TOKEN)

    @property
    def moves_money(self) -> bool:
        """Whether the route needs an Idempotency-Key."""
        return self.access == PAYERS

    @property
    def needs_verified_email(self) -> bool:
        """Whether unverified users are refused: they may read, and use the auth routes that need no recent login."""
        reads_or_authenticates = self.method == "GET" or self.path.startswith("/auth/")
        return not self.is_public and (self.recent == "all" or not reads_or_authenticates)

    def verdict(self, caller: str) -> str:
        """Return how the route answers a caller: PASSES, or the code of the first check that fails."""
        if self.access == PUBLIC:
            return PASSES
        if caller == "nobody" or (caller == "suspended" and self.access != ANY_TOKEN):
            return NO_TOKEN
        if self.access == ANY_TOKEN:
            return NO_TOKEN if caller == "owner's API key" else PASSES
        is_owner, is_admin = caller.startswith("owner"), caller.startswith("admin")
        if self.access == ADMINS and not is_admin:
            return FORBIDDEN
        if caller == "owner's API key" and (self.person or self.recent == "all"):
            return FORBIDDEN
        if self.access == ADMINS and caller != "admin":
            return NO_FACTOR
        if self.recent and caller == "owner with an old login":
            return OLD_LOGIN
        if self.needs_verified_email and caller == "unverified":
            return UNVERIFIED
        passes = is_owner or self.access in (USERS, PAYERS, ADMINS)
        return PASSES if passes or (self.access == OWNER_OR_ADMIN and caller == "admin") else GONE

    @property
    def has_body(self) -> bool:
        """Whether its method takes a body."""
        return self.method in ("POST", "PUT", "PATCH")

    def good(self) -> dict[str, Any]:
        """Return a body in which every field is well-formed."""
        return {name: value for name, (_, value) in self.fields.items()}


EMAIL, PHONE, NAME = ("email", "nobody@example.com"), ("phone", "+14155550100"), ("name", "Nobody")
PERSON = ("person", "Nobody")
PASSWORD, NEW_PASSWORD = ("password", "not the password"), ("new password", "a fine long password")
CODE, ANY_CODE, PIN = ("code", "123456"), ("any code", "123456"), ("code", "654321")
ACCOUNT, AMOUNT, CURRENCY = ("account", f"acc_{ULID}"), ("amount", 100), ("currency", "USD")
FLAG, THRESHOLD, LIMIT = ("flag", True), ("threshold", 100), ("limit", 100)
TIMES = ("yesterday", "2026-11-21", "2026-11-21T09:30:00", "", "0")
PERIOD = {"from": TIMES, "to": TIMES}
ROUTES = [
    Route(
        "POST",
        "/auth/register",
        PUBLIC,
        {"email": ("email", "new@example.com"), "password": NEW_PASSWORD, "first_name": PERSON, "last_name": PERSON},
        {"phone": PHONE},
    ),
    Route("POST", "/auth/verify-email", PUBLIC, {"email": EMAIL, "code": CODE}),
    Route("POST", "/auth/resend-code", PUBLIC, optional={"email": EMAIL}),
    Route("POST", "/auth/login", PUBLIC, {"email": EMAIL, "password": PASSWORD}),
    Route("POST", "/auth/login/verify", PUBLIC, {"challenge_id": ("challenge", f"chl_{ULID}"), "code": ANY_CODE}),
    Route(
        "POST",
        "/auth/reauthenticate",
        USERS,
        {"password": PASSWORD},
        {"code": ANY_CODE},
        person=True,
    ),
    Route("POST", "/auth/refresh", PUBLIC, optional={"refresh_token": ("token", "nonsense")}),
    Route("POST", "/auth/logout", ANY_TOKEN, optional={"refresh_token": ("token", "nonsense")}),
    Route("GET", "/auth/me", USERS),
    Route(
        "PATCH",
        "/auth/me",
        USERS,
        optional={"first_name": PERSON, "last_name": PERSON, "password": PASSWORD, "second_factor": ("factor", "none")},
        person=True,
    ),
    Route("GET", "/auth/validate", USERS),
    Route(
        "POST",
        "/auth/password/change",
        USERS,
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        person=True,
    ),
    Route("POST", "/auth/password/forgot", PUBLIC, {"email": EMAIL}),
    Route("POST", "/auth/password/reset", PUBLIC, {"email": EMAIL, "code": CODE, "new_password": NEW_PASSWORD}),
    Route("POST", "/auth/email/change", USERS, {"new_email": EMAIL, "password": PASSWORD}, person=True),
    Route("POST", "/auth/email/confirm", USERS, {"code": CODE}, person=True),
    Route("POST", "/auth/phone", USERS, {"phone": PHONE}, recent="all"),
    Route("POST", "/auth/phone/confirm", USERS, {"code": CODE}, recent="all"),
    Route("POST", "/auth/totp", USERS, recent="all"),
    Route("POST", "/auth/totp/confirm", USERS, {"code": CODE}, recent="all"),
    Route("POST", "/auth/totp/disable", USERS, {"password": PASSWORD, "code": ANY_CODE}, recent="all"),
    Route("GET", "/auth/sessions", USERS, listed=True, person=True),
    Route("DELETE", "/auth/sessions/{session_id}", OWNER, person=True),
    Route("POST", "/auth/api-keys", USERS, {"name": NAME, "scopes": ("scopes", ["read"])}, recent="all"),
    Route("GET", "/auth/api-keys", USERS, listed=True, person=True),
    Route("DELETE", "/auth/api-keys/{key_id}", OWNER, person=True),
    Route(
        "GET",
        "/users",
        ADMINS,
        queries={"role": ("", "owner"), "status": ("", "gone"), "email": ("", "x")},
        listed=True,
    ),
    Route("GET", "/users/{user_id}", OWNER_OR_ADMIN),
    Route(
        "PATCH",
        "/users/{user_id}",
        ADMINS,
        optional={"role": ("role", "customer"), "status": ("user status", "active")},
        person=True,
    ),
    Route("DELETE", "/users/{user_id}", OWNER_OR_ADMIN, person=True, recent="owner"),
    Route("DELETE", "/users/{user_id}/second-factor", ADMINS, person=True),
    Route("GET", "/.well-known/jwks.json", PUBLIC),
    Route("GET", "/.well-known/openid-configuration", PUBLIC),
    Route("GET", "/banks", PUBLIC),
    Route("GET", "/currencies", PUBLIC),
    Route("GET", "/health", PUBLIC),
    Route(
        "POST",
        "/accounts",
        USERS,
        {"currency": CURRENCY},
        {"name": ("name", "Everyday"), "type": ("account type", "debit")},
    ),
    Route("GET", "/accounts", USERS, listed=True),
    Route("GET", "/accounts/{account_id}", OWNER_OR_ADMIN),
    Route(
        "PATCH",
        "/accounts/{account_id}",
        OWNER_OR_ADMIN,
        optional={
            "name": NAME,
            "default": FLAG,
            "low_balance_alert": THRESHOLD,
            "status": ("account status", "active"),
            "credit_limit": THRESHOLD,
            "hot": FLAG,
        },
    ),
    Route("DELETE", "/accounts/{account_id}", OWNER_OR_ADMIN),
    Route("GET", "/accounts/{account_id}/balance", OWNER_OR_ADMIN, queries={"at": TIMES}),
    Route(
        "GET",
        "/accounts/{account_id}/entries",
        OWNER_OR_ADMIN,
        queries={**PERIOD, "direction": ("", "up", "DEBIT")},
        listed=True,
    ),
    Route(
        "GET",
        "/accounts/{account_id}/statement",
        OWNER_OR_ADMIN,
        queries={**PERIOD, "format": ("", "xml", "PDF")},
        query="from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",
    ),
    Route("PUT", "/accounts/{account_id}/pin", OWNER, {"pin": CODE}, {"current_pin": PIN}, person=True, recent="owner"),
    Route("POST", "/accounts/{account_id}/pin/reset", OWNER, person=True),
    Route("POST", "/accounts/{account_id}/pin/confirm", OWNER, {"code": CODE, "new_pin": PIN}, person=True),
    Route("GET", "/accounts/{account_id}/limits", OWNER),
    Route("PUT", "/accounts/{account_id}/limits", OWNER, optional={"daily": LIMIT, "weekly": LIMIT, "pin": CODE}),
    Route(
        "POST",
        "/cards",
        USERS,
        {
            "number": ("card number", "4111111111111111"),
            "holder_name": NAME,
            "exp_month": ("month", 12),
            "exp_year": ("year", 2039),
            "cvv": ("cvv", "737"),
        },
    ),
    Route("GET", "/cards", USERS, listed=True),
    Route("DELETE", "/cards/{card_id}", OWNER),
    Route(
        "POST",
        "/bank-accounts",
        USERS,
        {"bank_id": ("bank", "hanse-bank"), "iban": ("iban", "DE89370400440532013000"), "holder_name": NAME},
    ),
    Route("GET", "/bank-accounts", USERS, listed=True),
    Route("DELETE", "/bank-accounts/{bank_account_id}", OWNER),
    Route(
        "GET",
        "/payees",
        USERS,
        queries={"alias": ("", "x", "+1", "%F0%9F%98%80@example.com")},
        query="alias=nobody@example.com",
    ),
    Route(
        "POST",
        "/transfers",
        PAYERS,
        {"destination": ("destination", {"user_id": f"usr_{ULID}"}), "amount": AMOUNT, "currency": CURRENCY},
        {
            "source_account_id": ACCOUNT,
            "description": ("description", "Tea"),
            "metadata": ("metadata", {"table": "7"}),
            "pin": CODE,
        },
    ),
    Route(
        "GET",
        "/transfers",
        USERS,
        queries={
            **PERIOD,
            "account_id": ("", "x", f"usr_{ULID}"),
            "kind": ("", "gift"),
            "status": ("", "done"),
            "counterparty": ("", "x"),
            "min_amount": ("", "-1", "1.5", "x", "1" + "0" * 16),
            "max_amount": ("", "-1", "1.5", "x"),
        },
        listed=True,
    ),
    Route("GET", "/transfers/{transfer_id}", OWNER_OR_ADMIN),
    Route(
        "POST",
        "/deposits",
        PAYERS,
        {
            "account_id": ACCOUNT,
            "amount": AMOUNT,
            "currency": CURRENCY,
            "source": ("source", {"card_id": f"crd_{ULID}"}),
        },
        {"description": ("description", "Salary")},
    ),
    Route(
        "GET",
        "/notifications",
        USERS,
        queries={"unread": ("", "yes", "1"), "after": ("", "x", f"trf_{ULID}")},
        listed=True,
    ),
    Route("POST", "/notifications/{notification_id}/read", OWNER),
    Route("POST", "/notifications/read-all", USERS),
]
PREFIXES = {
    "user_id": "usr",
    "session_id": "ses",
    "key_id": "key",
    "account_id": "acc",
    "card_id": "crd",
    "bank_account_id": "bka",
    "transfer_id": "trf",
    "notification_id": "ntf",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Bad(NamedTuple):
    """An invalid request: what is wrong with it, the code of its problem, and the pointer to its error."""

    what: str
    code: str
    body: bytes | None = None
    headers: Mapping[str, str | None] = {}
    query: str = ""
    pointer: str | None = None


def path_of(route: Route, **ids: str) -> str:
    """Return the path with these ids. By default ids are well-formed, but do not exist."""
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], f"{PREFIXES[match[1]]}_{ULID}"), route.path)


def encode(body: Any) -> bytes:
    """Encode a body as JSON, in which `Raw` values stay as they are."""
    if isinstance(body, dict) and any(isinstance(value, Raw) for value in body.values()):
        pairs = (f"{json.dumps(k)}: {v.text if isinstance(v, Raw) else json.dumps(v)}" for k, v in body.items())
        return ("{" + ", ".join(pairs) + "}").encode()
    return json.dumps(body).encode()


def bad_bodies(route: Route) -> Iterator[Bad]:
    """Yield requests with bodies that are not JSON or not an object, too large, or have invalid fields."""
    good = route.good()
    for text in (
        "{",
        "nul",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": Infinity}',
        "{} x",
        "[" * 100_000,
        '{"a":1,"a":1}',
        "\ufeff{}",
    ):
        yield Bad(f"not JSON: {text[:12]}", "malformed_json", text.encode())
    yield Bad("not UTF-8", "malformed_json", b"\xff\xfe{}")
    for text in ("[]", "null", "1", '"x"', "true"):
        yield Bad(f"not an object: {text}", "validation_failed", text.encode())
    merges = () if route.method == "PATCH" else ("application/merge-patch+json",)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "multipart/form-data",
        "",
        *merges,
    ):
        yield Bad(f"as {kind}", "unsupported_media_type", encode(good), {"Content-Type": kind})
    if route.required:
        yield Bad("no body at all", "unsupported_media_type", None)
        yield Bad("an empty body", "malformed_json", b"", {"Content-Type": "application/json"})
    yield Bad("one byte more than 256 KiB", "body_too_large", b'{"a": "' + b"x" * (256 * 1024) + b'"}')
    yield Bad("an unknown field", "validation_failed", encode(good | {"unknown": 1}), pointer="/unknown")
    yield Bad("a field with a very long name", "validation_failed", encode(good | {LONG: 1}))
    if "role" not in route.fields:
        yield Bad("a role", "validation_failed", encode(good | {"role": "admin"}), pointer="/role")
    for name in route.required:
        rest = {other: value for other, value in good.items() if other != name}
        yield Bad(f"no {name}", "validation_failed", encode(rest), pointer=f"/{name}")
    for name, (kind, _) in route.fields.items():
        for value in BAD[kind]:
            if value is not None or name in route.required:
                shown = value.text[:20] if isinstance(value, Raw) else ascii(value)[:30]
                yield Bad(f"{name} {shown}", "validation_failed", encode(good | {name: value}), pointer=f"/{name}")


def bad_queries(route: Route) -> Iterator[Bad]:
    """Yield requests with unknown, repeated or invalid query parameters."""
    body = encode(route.good()) if route.has_body and route.fields else None
    for query in ("unknown=1", "limit=1&limit=2" if route.listed else "x=1&x=2", "%00=1", f"{LONG[:2000]}=1"):
        yield Bad(f"?{query[:20]}", "validation_failed", body, query=query)
    if route.listed:
        for value in ("0", "101", "-1", "abc", "1.0", "", "1e1", "%F0%9F%98%80", "9" * 400):
            yield Bad(f"?limit={value[:10]}", "validation_failed", query=f"limit={value}", pointer="/query/limit")
        for value in ("x", "", "AAAA", "%00", "%F0%9F%98%80", "e30", "x" * 1000):
            yield Bad(f"?cursor={value[:10]}", "invalid_cursor", query=f"cursor={value}")
    for name, values in route.queries.items():
        for value in values:
            yield Bad(f"?{name}={value}", "validation_failed", query=f"{name}={value}", pointer=f"/query/{name}")
