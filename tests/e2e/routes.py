"""Every route of the contract that is there, as data: who may call it, what it takes, what is bad for each field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LONG = "x" * 10_000
NUL, LONE, EMOJI = "a\u0000b", "a\ud800b", "\U0001f600"
ULID = "01K0000000000000000000000A"


def wide(digits: str) -> str:
    """Digits that are digits to Unicode only."""
    return "".join(chr(ord(digit) + 0xFEE0) for digit in digits)


class Raw(NamedTuple):
    """JSON text that Python would not write."""

    text: str


TEXTS: tuple[Any, ...] = (5, 1.5, True, [], {}, NUL, LONE, LONG)
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
    "name": (*TEXTS, "", "   ", "x" * 101, "a\nb"),
    "phone": (*TEXTS, "", "123", "+0123456789", "+1", "phone", "+12345678901234567", EMOJI),
    "code": (*TEXTS, None, "", "12345", "1234567", "abcdef", wide("123456"), EMOJI),
    "token": (5, True, [], {}, ""),
    "account": (*TEXTS, "", "acc_", "x", f"usr_{ULID}", f"acc_{ULID.lower()}", f"acc_{ULID}\n", f"acc_{ULID}0", EMOJI),
    "amount": (
        *(None, True, False, "100", "", [], {}, 0, -1, 1.5, 1.0, 10**15 + 1, -(10**30), 10**400),
        *(Raw("1e3"), Raw("9" * 5000), Raw("1E400"), Raw("-0"), Raw("0.1")),
    ),
    "currency": (*TEXTS, None, "", "usd", "US", "USDX", "ZZZ", "U\u0000D", EMOJI),
    "description": (5, 1.5, True, [], {}, NUL, "x" * 501, LONG),
    "metadata": (
        *(5, True, "x", [], {"a": 5}, {"a": None}, {"a": {}}, {"a": NUL}, {"": "x"}, {"k" * 41: "x"}, {"a": "x" * 501}),
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
        "4242 4242 4242 4242",
        "0" * 12,
        "4" * 20,
        wide("4242424242424242"),
    ),
    "month": (None, "12", 1.5, True, [], {}, 0, 13, -1, 10**30),
    "year": (None, "2039", 2039.5, True, [], {}, 0, 2020, 99999, -2039),
    "cvv": (*TEXTS, None, "", "73", "73737", "abc", wide("737")),
    "iban": (*TEXTS, None, "", "DE00370400440532013000", "XX", EMOJI),
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


@dataclass(frozen=True)
class Route:
    """One route. `fields` are its body's, with a kind and a good value; `queries` the parameters it takes, `query` a
    string of them with which it is good; `admin` says that others than admins get no further than their role."""

    method: str
    path: str
    public: bool = False
    money: bool = False
    fields: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    queries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listed: bool = False
    admin: bool = False
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def has_body(self) -> bool:
        """Whether its method takes a body."""
        return self.method in ("POST", "PUT", "PATCH")

    def good(self) -> dict[str, Any]:
        """A body in which nothing is malformed."""
        return {name: value for name, (_, value) in self.fields.items()}


WHO, NAME = ("email", "nobody@example.com"), ("name", "Nobody")
ACCOUNT = ("account", f"acc_{ULID}")
PERIOD = dict.fromkeys(("from", "to"), ("yesterday", "2026-11-21", "2026-11-21T09:30:00", "", "0"))
ROUTES = [
    Route(
        *("POST", "/auth/register", True),
        fields={
            "email": ("email", "new@example.com"),
            "password": ("new password", "a fine long password"),
            "first_name": NAME,
            "last_name": NAME,
            "phone": ("phone", "+14155550100"),
        },
        required=("email", "password", "first_name", "last_name"),
    ),
    Route(
        "POST",
        "/auth/verify-email",
        True,
        fields={"email": WHO, "code": ("code", "123456")},
        required=("email", "code"),
    ),
    Route("POST", "/auth/resend-code", True, fields={"email": WHO}),
    Route(
        *("POST", "/auth/login", True),
        fields={"email": WHO, "password": ("password", "a fine long password")},
        required=("email", "password"),
    ),
    Route("POST", "/auth/refresh", True, fields={"refresh_token": ("token", "nonsense")}),
    Route("POST", "/auth/logout", True, fields={"refresh_token": ("token", "nonsense")}),
    Route("GET", "/auth/me"),
    Route(
        *("POST", "/auth/login/verify", True),
        fields={"challenge_id": ("challenge", f"chl_{ULID}"), "code": ("any code", "123456")},
        required=("challenge_id", "code"),
    ),
    Route(
        *("PATCH", "/auth/me"),
        fields={
            "first_name": NAME,
            "last_name": NAME,
            "password": ("password", "not the password"),
            "second_factor": ("factor", "none"),
        },
    ),
    Route("GET", "/auth/validate"),
    Route(
        *("POST", "/auth/password/change"),
        fields={
            "current_password": ("password", "not the password"),
            "new_password": ("new password", "a fine long password"),
        },
        required=("current_password", "new_password"),
    ),
    Route("POST", "/auth/password/forgot", True, fields={"email": WHO}, required=("email",)),
    Route(
        *("POST", "/auth/password/reset", True),
        fields={
            "email": WHO,
            "code": ("code", "123456"),
            "new_password": ("new password", "a fine long password"),
        },
        required=("email", "code", "new_password"),
    ),
    Route(
        *("POST", "/auth/email/change"),
        fields={"new_email": WHO, "password": ("password", "not the password")},
        required=("new_email", "password"),
    ),
    Route("POST", "/auth/email/confirm", fields={"code": ("code", "123456")}, required=("code",)),
    Route("POST", "/auth/phone", fields={"phone": ("phone", "+14155550100")}, required=("phone",)),
    Route("POST", "/auth/phone/confirm", fields={"code": ("code", "123456")}, required=("code",)),
    Route("POST", "/auth/totp"),
    Route("POST", "/auth/totp/confirm", fields={"code": ("code", "123456")}, required=("code",)),
    Route(
        *("POST", "/auth/totp/disable"),
        fields={"password": ("password", "not the password"), "code": ("any code", "123456")},
        required=("password", "code"),
    ),
    Route("GET", "/auth/sessions", listed=True),
    Route("DELETE", "/auth/sessions/{session_id}"),
    Route(
        *("POST", "/auth/api-keys"),
        fields={"name": NAME, "scopes": ("scopes", ["read"])},
        required=("name", "scopes"),
    ),
    Route("GET", "/auth/api-keys", listed=True),
    Route("DELETE", "/auth/api-keys/{key_id}"),
    Route(
        *("GET", "/users"),
        listed=True,
        admin=True,
        queries={"role": ("", "owner"), "status": ("", "gone"), "email": ("", "x")},
    ),
    Route("GET", "/users/{user_id}"),
    Route(
        *("PATCH", "/users/{user_id}"),
        admin=True,
        fields={"role": ("role", "customer"), "status": ("user status", "active")},
    ),
    Route("DELETE", "/users/{user_id}"),
    Route("GET", "/.well-known/jwks.json", True),
    Route("GET", "/.well-known/openid-configuration", True),
    Route("GET", "/banks", True),
    Route("GET", "/currencies", True),
    Route("GET", "/health", True),
    Route(
        *("POST", "/accounts"),
        fields={"currency": ("currency", "USD"), "name": ("name", "Everyday"), "type": ("account type", "debit")},
        required=("currency",),
    ),
    Route("GET", "/accounts", listed=True),
    Route("GET", "/accounts/{account_id}"),
    Route(
        *("PATCH", "/accounts/{account_id}"),
        fields={
            "name": NAME,
            "default": ("flag", True),
            "low_balance_alert": ("threshold", 100),
            "status": ("account status", "active"),
            "credit_limit": ("threshold", 100),
            "sharded_credits": ("flag", True),
        },
    ),
    Route("DELETE", "/accounts/{account_id}"),
    Route("GET", "/accounts/{account_id}/balance", queries={"at": PERIOD["from"]}),
    Route(
        *("GET", "/accounts/{account_id}/statement"),
        queries={**PERIOD, "format": ("", "xml", "PDF")},
        query="from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",
    ),
    Route(
        *("PUT", "/accounts/{account_id}/pin"),
        fields={"pin": ("code", "123456"), "current_pin": ("code", "654321")},
        required=("pin",),
    ),
    Route("POST", "/accounts/{account_id}/pin/reset"),
    Route(
        *("POST", "/accounts/{account_id}/pin/confirm"),
        fields={"code": ("code", "123456"), "new_pin": ("code", "654321")},
        required=("code", "new_pin"),
    ),
    Route("GET", "/accounts/{account_id}/limits"),
    Route(
        *("PUT", "/accounts/{account_id}/limits"),
        fields={"daily": ("limit", 100), "weekly": ("limit", 100), "pin": ("code", "123456")},
    ),
    Route(
        "GET",
        "/payees",
        queries={"alias": ("", "x", "+1", "%F0%9F%98%80@example.com")},
        query="alias=nobody@example.com",
    ),
    Route("GET", "/accounts/{account_id}/entries", listed=True, queries={**PERIOD, "direction": ("", "up", "DEBIT")}),
    Route(
        *("POST", "/cards"),
        fields={
            "number": ("card number", "4111111111111111"),
            "holder_name": NAME,
            "exp_month": ("month", 12),
            "exp_year": ("year", 2039),
            "cvv": ("cvv", "737"),
        },
        required=("number", "holder_name", "exp_month", "exp_year", "cvv"),
    ),
    Route("GET", "/cards", listed=True),
    Route("DELETE", "/cards/{card_id}"),
    Route(
        *("POST", "/bank-accounts"),
        fields={"bank_id": ("bank", "hanse-bank"), "iban": ("iban", "DE89370400440532013000"), "holder_name": NAME},
        required=("bank_id", "iban", "holder_name"),
    ),
    Route("GET", "/bank-accounts", listed=True),
    Route("DELETE", "/bank-accounts/{bank_account_id}"),
    Route(
        *("POST", "/transfers"),
        money=True,
        fields={
            "source_account_id": ACCOUNT,
            "destination": ("destination", {"user_id": f"usr_{ULID}"}),
            "amount": ("amount", 100),
            "currency": ("currency", "USD"),
            "description": ("description", "Tea"),
            "metadata": ("metadata", {"table": "7"}),
            "pin": ("code", "123456"),
        },
        required=("destination", "amount", "currency"),
    ),
    Route(
        *("GET", "/transfers"),
        listed=True,
        queries={
            **PERIOD,
            "account_id": ("", "x", f"usr_{ULID}"),
            "kind": ("", "gift"),
            "status": ("", "done"),
            "counterparty": ("", "x"),
            "min_amount": ("", "-1", "1.5", "x", "1" + "0" * 16),
            "max_amount": ("", "-1", "1.5", "x"),
        },
    ),
    Route("GET", "/transfers/{transfer_id}"),
    Route(
        *("POST", "/deposits"),
        money=True,
        fields={
            "account_id": ACCOUNT,
            "amount": ("amount", 100),
            "currency": ("currency", "USD"),
            "source": ("source", {"card_id": f"crd_{ULID}"}),
            "description": ("description", "Salary"),
        },
        required=("account_id", "amount", "currency", "source"),
    ),
    Route(
        "GET", "/notifications", listed=True, queries={"unread": ("", "yes", "1"), "after": ("", "x", f"trf_{ULID}")}
    ),
    Route("POST", "/notifications/{notification_id}/read"),
    Route("POST", "/notifications/read-all"),
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
    """A request that has to be refused: what is wrong, the code it gets, and where its fault is."""

    what: str
    code: str
    body: bytes | None = None
    headers: Mapping[str, str | None] = {}
    query: str = ""
    pointer: str | None = None


def path_of(route: Route, **ids: str) -> str:
    """The concrete path; ids that are not given are well-formed and nobody's."""
    path = route.path
    for name, prefix in PREFIXES.items():
        path = path.replace("{" + name + "}", ids.get(name, f"{prefix}_{ULID}"))
    return path


def encode(body: Any) -> bytes:
    """JSON, with `Raw` values as they are."""
    if isinstance(body, dict) and any(isinstance(value, Raw) for value in body.values()):
        pairs = (f"{json.dumps(k)}: {v.text if isinstance(v, Raw) else json.dumps(v)}" for k, v in body.items())
        return ("{" + ", ".join(pairs) + "}").encode()
    return json.dumps(body).encode()


def bad_bodies(route: Route) -> Iterator[Bad]:
    """Bodies that are no JSON, no object, too large, of another type, or with fields that can't be."""
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
        yield Bad(f"no object: {text}", "validation_failed", text.encode())
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data", ""):
        yield Bad(f"as {kind}", "unsupported_media_type", encode(good), {"Content-Type": kind})
    if route.required:
        yield Bad("no body at all", "unsupported_media_type", None)
        yield Bad("an empty body", "malformed_json", b"", {"Content-Type": "application/json"})
    yield Bad("256 KiB and a byte", "body_too_large", b'{"a": "' + b"x" * (256 * 1024) + b'"}')
    yield Bad("an unknown field", "validation_failed", encode(good | {"unknown": 1}), pointer="/unknown")
    yield Bad("an absurd field", "validation_failed", encode(good | {LONG: 1}))
    if "role" not in route.fields:
        yield Bad("a role of one's own", "validation_failed", encode(good | {"role": "admin"}), pointer="/role")
    for name in route.required:
        rest = {other: value for other, value in good.items() if other != name}
        yield Bad(f"no {name}", "validation_failed", encode(rest), pointer=f"/{name}")
    for name, (kind, _) in route.fields.items():
        for value in BAD[kind]:
            if value is not None or name in route.required:
                shown = value.text[:20] if isinstance(value, Raw) else ascii(value)[:30]
                yield Bad(f"{name} {shown}", "validation_failed", encode(good | {name: value}), pointer=f"/{name}")


def bad_queries(route: Route) -> Iterator[Bad]:
    """Query strings with what the route does not take, twice what it takes, or values that can't be."""
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
