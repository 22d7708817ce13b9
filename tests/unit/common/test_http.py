"""Every endpoint's surface: the order of checks, problems, bodies, queries, idempotency keys."""

import base64
import json
import re
from typing import Annotated, Any, Literal

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from common.errors import Contended, Refusal, TaskFailed
from common.http import checks
from common.http.app import Api, Reply, Request
from common.http.checks import MAX_BODY_BYTES
from common.http.fields import Amount, Body, Currency, Description, Email, ListQuery, Metadata, Name, Phone, Timestamp
from common.http.problems import PROBLEMS
from common.idempotency import Answer, KeyedAnswer
from common.keys import Keyring
from pydantic import Field

from tests.support.rest import event, principal, send

USER = "usr_01K0000000000000000000000A"
ACCOUNT = {"account_id": "acc_01K0000000000000000000000A"}


class Order(Body):
    amount: Amount
    currency: Currency
    email: Email | None = None
    phone: Phone | None = None
    name: Name | None = None
    description: Description | None = None
    metadata: Metadata | None = None


class Everything(ListQuery):
    kind: str | None = None
    since: Timestamp | None = None


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "keyring", lambda purpose: Keyring({"1": purpose.encode()}))


def echo(request: Request[Any, Any]) -> Reply:
    seen = {"body": request.body.model_dump(exclude_unset=True), "query": request.query.model_dump()}
    seen["idempotency"] = request.idempotency_key and request.idempotency_key.scope
    return Reply.created(seen, "/v1/orders/1")


api = Api()
api.post("/orders", body=Order, moves_money=True)(echo)
api.post("/public/{account_id}", body=Order, public=True)(echo)
api.get("/public/{account_id}", public=True, query=Everything)(echo)
api.get("/admins", roles=frozenset({"admin"}))(echo)
api.post("/keyed", idempotent=True)(echo)
api.post("/bare")(echo)
GOOD = {"amount": 5, "currency": "USD"}


def post(body: Any, **kwargs: Any) -> Any:
    return send(api.handler, event("POST", "/public/{account_id}", body=body, path=ACCOUNT, **kwargs))


def test_a_good_request_is_answered() -> None:
    answer = post(GOOD)
    assert answer.status == 201
    assert answer.json["body"] == GOOD
    assert answer.headers["location"] == ["/v1/orders/1"]
    assert answer.headers["request-id"] == ["req-1"]
    assert answer.headers["content-type"] == ["application/json"]


def test_a_problem_has_the_shape_of_rfc_9457() -> None:
    answer = post({"amount": 0, "currency": "USD"})
    assert answer.headers["content-type"] == ["application/problem+json"]
    document = answer.json
    assert document.pop("errors") == [{"pointer": "/amount", "detail": "must be at least 1"}]
    assert document == {
        "type": "/v1/problems/validation-failed",
        "title": "The request is not valid",
        "status": 400,
        "detail": "Correct the fields listed in errors, then send the request again.",
        "instance": f"/v1/public/{ACCOUNT['account_id']}",
        "code": "validation_failed",
        "trace_id": "req-1",
    }


@pytest.mark.parametrize(
    "amount",
    [0, -1, 10**15 + 1, 10**40, 1.0, 1.5, True, False, "5", None, [], {}, [5]],
)
def test_amounts_that_are_refused(amount: Any) -> None:
    answer = post({"amount": amount, "currency": "USD"})
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.json["errors"][0]["pointer"] == "/amount"


@pytest.mark.parametrize("amount", [1, 10**15])
def test_amounts_at_the_bounds_pass(amount: int) -> None:
    assert post({"amount": amount, "currency": "USD"}).status == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "usd"),
        ("currency", "XXX"),
        ("currency", "US"),
        ("currency", 840),
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a b@c.de"),
        ("email", "a@b.de\u0000"),
        ("email", "a" * 65 + "@b.de"),
        ("phone", "030123"),
        ("phone", "+0123456789"),
        ("phone", "+49 30 123"),
        ("name", ""),
        ("name", "   "),
        ("name", "a" * 101),
        ("name", "Ada\u0000"),
        ("name", "Ada\nLovelace"),
        ("description", "a" * 501),
        ("description", "\ud800"),
        ("metadata", {"k": 1}),
        ("metadata", {"k" * 41: "v"}),
        ("metadata", {"": "v"}),
        ("metadata", {"k": "v" * 501}),
        ("metadata", {str(n): "v" for n in range(51)}),
        ("metadata", []),
        ("description", "a\u202eb"),
        ("name", "\u2066x"),
        ("email", "..@x.com"),
        ("email", ".a@x.com"),
        ("email", "a..b@x.com"),
        ("email", "\u212a@x.com"),
        ("email", "a@x-.com"),
        ("amount_", 5),
    ],
)
def test_fields_that_are_refused(field: str, value: Any) -> None:
    answer = post({**GOOD, field: value})
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.json["errors"][0]["pointer"].startswith(f"/{field}")


def test_what_is_cleaned_up() -> None:
    answer = post({**GOOD, "email": "  Ada@Example.COM ", "name": " Ada ", "description": "na\u00efve \U0001f600"})
    assert answer.json["body"]["email"] == "ada@example.com"
    assert answer.json["body"]["name"] == "Ada"
    assert answer.json["body"]["description"] == "na\u00efve \U0001f600"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "nul",
        '{"amount": 5, "amount": 6, "currency": "USD"}',
        '{"amount": NaN, "currency": "USD"}',
        '{"amount": Infinity}',
        "[" * 100_000,
        "{'amount': 5}",
        "\ufeff{}",
    ],
)
def test_what_is_not_json(text: str) -> None:
    answer = post(text, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "malformed_json")


def test_a_body_that_is_not_base64_after_all() -> None:
    request = event("POST", "/public/{account_id}", body="x", path=ACCOUNT)
    request |= {"body": "!!!", "isBase64Encoded": True}
    assert send(api.handler, request).code == "malformed_json"


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "null", "true"])
def test_json_that_is_no_object(text: str) -> None:
    answer = post(text)
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.json["errors"][0]["pointer"] == ""


def test_an_absurdly_long_number_is_not_valid() -> None:
    assert post('{"amount": ' + "9" * 10_000 + ', "currency": "USD"}').code == "validation_failed"


def test_bytes_that_are_not_utf_8() -> None:
    request = event("POST", "/public/{account_id}", body="x", path=ACCOUNT)
    request |= {"body": base64.b64encode(b'{"a": "\xff"}').decode(), "isBase64Encoded": True}
    assert send(api.handler, request).code == "malformed_json"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_other_content_types(content_type: str) -> None:
    answer = post(json.dumps(GOOD), headers={"Content-Type": content_type})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_charset_is_fine() -> None:
    assert post(json.dumps(GOOD), headers={"content-type": "Application/JSON; charset=utf-8"}).status == 201


def test_a_body_that_is_too_large() -> None:
    assert post("x" * (MAX_BODY_BYTES + 1)).code == "body_too_large"
    assert post("\u00e9" * (MAX_BODY_BYTES // 2 + 1)).code == "body_too_large"


def test_a_request_without_fields_needs_no_body() -> None:
    bare = event("POST", "/bare", caller=principal(USER))
    assert send(api.handler, bare).status == 201
    assert send(api.handler, event("POST", "/bare", caller=principal(USER), body={"role": "admin"})).status == 400


def get(query: dict[str, str | list[str]]) -> Any:
    return send(api.handler, event("GET", "/public/{account_id}", path=ACCOUNT, query=query))


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.0", "x", "", "+5", " 5", "\u0665", "1e1", "0x5", "05.0"])
def test_limits_that_are_refused(limit: str) -> None:
    assert get({"limit": limit}).code == "validation_failed"


def test_queries() -> None:
    assert get({"limit": "100", "kind": "x"}).json["query"]["limit"] == 100
    assert get({}).json["query"]["limit"] == 25
    assert get({"color": "red"}).json["errors"] == [
        {"pointer": "/query/color", "detail": "is not a field of this request; remove it"}
    ]
    assert get({"kind": ["a", "b"]}).json["errors"] == [{"pointer": "/query/kind", "detail": "must be given once"}]


@pytest.mark.parametrize(
    "time",
    ["2026-W01-1T00:00Z", "20261121T093000Z", "2026-11-21", "2026-11-21T09:30:00", "2026-02-30T00:00:00Z", "now", ""],
)
def test_times_that_are_not_rfc_3339(time: str) -> None:
    assert get({"since": time}).code == "validation_failed"


def test_times_are_taken_to_utc_with_milliseconds() -> None:
    assert get({"since": "2026-11-21t10:30:00+01:00"}).json["query"]["since"] == "2026-11-21T09:30:00.000Z"


def test_a_wrong_method_says_what_is_allowed() -> None:
    answer = send(api.handler, event("DELETE", "/public/{account_id}", path=ACCOUNT))
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == ["GET, POST"]
    assert send(api.handler, event("GET", "/elsewhere")).code == "not_found"


def test_the_order_of_checks() -> None:
    """Each request has every later fault as well; the earliest is answered."""
    bad = {"body": "x" * (MAX_BODY_BYTES + 1), "headers": {"Content-Type": "text/plain"}}
    stranger = principal(USER, "admin", email_verified=False, second_factor=False, logged_in_seconds_ago=301)
    unsafe = principal(USER, "arbiter", email_verified=False, second_factor=False, logged_in_seconds_ago=301)
    stale = principal(USER, "arbiter", email_verified=False, logged_in_seconds_ago=301)
    unverified = principal(USER, "arbiter", email_verified=False)
    customer = principal(USER, "arbiter")
    ordered = Api()
    everything = {"roles": frozenset({"arbiter"}), "recent_login": True, "moves_money": True}
    ordered.post("/orders", body=Order, **everything)(echo)

    def code(caller: dict[str, str] | None, **kwargs: Any) -> str:
        return send(ordered.handler, event("POST", "/orders", caller=caller, **{**bad, **kwargs})).code

    assert code(None) == "unauthenticated"
    assert code(stranger) == "forbidden"
    assert code(unsafe) == "second_factor_required"
    assert code(stale) == "reauthentication_required"
    assert code(unverified) == "email_not_verified"
    assert code(customer) == "body_too_large"
    assert code(customer, body="{") == "unsupported_media_type"
    assert code(customer, body="{", headers={"Content-Type": "application/json"}) == "malformed_json"
    assert code(customer, body="{}", headers={"Content-Type": "application/json"}) == "idempotency_key_required"
    keyed = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    assert code(customer, body="{}", headers=keyed) == "validation_failed"


@pytest.mark.parametrize(
    ("method", "path", "options", "refused"),
    [
        ("GET", "/accounts", {}, False),
        ("POST", "/accounts", {}, True),
        ("PATCH", "/accounts", {}, True),
        ("DELETE", "/accounts", {}, True),
        ("POST", "/auth/email/change", {}, False),
        ("POST", "/auth/totp", {"recent_login": True}, True),
        ("POST", "/transfers", {"moves_money": True}, True),
        ("POST", "/auth/register", {"public": True}, False),
    ],
)
def test_what_an_unverified_user_may_do(method: str, path: str, options: dict[str, bool], refused: bool) -> None:
    one = Api()
    one.route(method, path, **options)(echo)
    answer = send(one.handler, event(method, path, caller=principal(USER, email_verified=False)))
    assert (answer.status == 403 and answer.code == "email_not_verified") == refused


@pytest.mark.parametrize(("seconds", "status"), [(0, 201), (299, 201), (301, 403), (-60, 403)])
def test_a_recent_login_is_one_of_the_last_five_minutes(seconds: float, status: int) -> None:
    one = Api()
    one.post("/auth/api-keys", recent_login=True)(echo)
    caller = principal(USER, logged_in_seconds_ago=seconds)
    assert send(one.handler, event("POST", "/auth/api-keys", caller=caller)).status == status


def test_a_recent_login_is_never_an_api_keys() -> None:
    one = Api()
    one.post("/auth/api-keys", recent_login=True)(echo)
    caller = {**principal(USER), "session_id": "key_01K0000000000000000000000A"}
    assert send(one.handler, event("POST", "/auth/api-keys", caller=caller)).code == "forbidden"


def test_an_endpoint_may_ask_for_a_recent_login_itself() -> None:
    one = Api()

    @one.put("/pin")
    def put(request: Request[Any, Any]) -> Reply:
        request.require_recent_login()
        return Reply.done()

    assert send(one.handler, event("PUT", "/pin", caller=principal(USER))).status == 204
    late = principal(USER, logged_in_seconds_ago=301)
    assert send(one.handler, event("PUT", "/pin", caller=late)).code == "reauthentication_required"


def test_an_admin_without_a_second_factor_acts_as_a_customer() -> None:
    one = Api()

    @one.get("/x")
    def get(request: Request[Any, Any]) -> Reply:
        return Reply(200, {"admin": request.principal.is_admin})

    assert send(one.handler, event("GET", "/x", caller=principal(USER, "admin"))).json == {"admin": True}
    caller = principal(USER, "admin", second_factor=False)
    assert send(one.handler, event("GET", "/x", caller=caller)).json == {"admin": False}


@pytest.mark.parametrize("name", ["Authorization", "content-type", "IDEMPOTENCY-KEY"])
def test_a_header_that_may_have_one_value_and_comes_twice_is_refused(name: str) -> None:
    request = event("POST", "/orders", caller=principal(USER), body=GOOD, headers={"Idempotency-Key": "K", name: "x"})
    request["multiValueHeaders"] = {**request["multiValueHeaders"], name: ["x", "y"]}
    answer = send(api.handler, request)
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.json["errors"][0]["pointer"].lower() == f"/headers/{name}".lower()


def test_a_patch_may_be_a_merge_patch_and_nothing_else_may() -> None:
    one = Api()
    one.patch("/x", body=Order)(echo)
    one.post("/x", body=Order)(echo)
    headers = {"Content-Type": "application/merge-patch+json"}
    caller = principal(USER)
    assert send(one.handler, event("PATCH", "/x", caller=caller, body=GOOD, headers=headers)).status == 201
    assert send(one.handler, event("POST", "/x", caller=caller, body=GOOD, headers=headers)).status == 415


def test_security_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(GOOD).headers["x-content-type-options"] == ["nosniff"]
    assert "strict-transport-security" not in post(GOOD).headers
    monkeypatch.setenv("ENVIRONMENT", "prod")
    assert post(GOOD).headers["strict-transport-security"] == ["max-age=63072000; includeSubDomains"]
    assert post({}).headers["strict-transport-security"] == ["max-age=63072000; includeSubDomains"]


def test_no_text_of_a_library_reaches_a_client() -> None:
    class Many(Body):
        text: Annotated[str, Field(min_length=2, max_length=3)]
        number: Annotated[int, Field(gt=1, lt=5)]
        choice: Literal["a", "b"]
        flag: bool
        items: Annotated[list[int], Field(min_length=1, max_length=2)]
        inner: Order

    one = Api()
    one.post("/x", body=Many, public=True)(echo)
    good = {"text": "abc", "number": 2, "choice": "a", "flag": True, "items": [1], "inner": GOOD}
    values: list[Any] = [None, "", "x", "abcd", 0, 9, 1.5, True, [], [1, 2, 3], ["x"], {}, {"x": 1}, "\ud800"]
    for name in good:
        for value in values:
            answer = send(one.handler, event("POST", "/x", body={**good, name: value}))
            for error in answer.json.get("errors", []):
                assert not re.search(r"Input|should|pattern|permitted|valid (string|integer|boolean)", error["detail"])
                assert error["detail"] != "is not valid", (name, value)


def test_roles() -> None:
    assert send(api.handler, event("GET", "/admins", caller=principal(USER))).code == "forbidden"
    assert send(api.handler, event("GET", "/admins", caller=principal(USER, "admin"))).status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\tb"])
def test_idempotency_keys_that_are_refused(key: str) -> None:
    request = event("POST", "/keyed", caller=principal(USER), headers={"Idempotency-Key": key})
    assert send(api.handler, request).code == "validation_failed"


def test_the_scope_of_an_idempotency_key() -> None:
    def scope(user: str, resource: str, key: str) -> str:
        request = event(
            "POST",
            resource,
            caller=principal(user),
            body=GOOD,
            headers={"Idempotency-Key": key, "Content-Type": "application/json"},
        )
        return str(send(api.handler, request).json.get("idempotency"))

    first = scope(USER, "/orders", "k")
    assert scope(USER, "/orders", "k") == first
    assert scope(USER.replace("0A", "0B"), "/orders", "k") != first
    assert scope(USER, "/orders", "l") != first


def test_a_trailing_slash_is_the_same_path() -> None:
    def scope(path: str) -> str:
        request = event("POST", "/orders", caller=principal(USER), body=GOOD, headers={"Idempotency-Key": "k"})
        request["requestContext"]["path"] = path
        return str(send(api.handler, request).json["idempotency"])

    assert scope("/v1/orders/") == scope("/v1/orders")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refusal("insufficient_funds", transfer_id="trf_1"), 422, "insufficient_funds"),
        (Refusal("rate_limited", retry_after=7), 429, "rate_limited"),
        (Contended(), 503, "unavailable"),
        (TaskFailed("x"), 503, "unavailable"),
        (ConnectTimeoutError(endpoint_url="x"), 503, "unavailable"),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "GetItem"), 503, "unavailable"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "GetItem"), 500, "internal_error"),
        (RuntimeError("hunter2"), 500, "internal_error"),
        (KeyError("x"), 500, "internal_error"),
    ],
)
def test_whatever_is_raised_becomes_an_answer(error: Exception, status: int, code: str) -> None:
    failing = Api()

    @failing.get("/x", public=True)
    def fail(_: Request[Any, Any]) -> Reply:
        raise error

    answer = send(failing.handler, event("GET", "/x"))
    assert (answer.status, answer.code) == (status, code)
    assert "hunter2" not in answer.text
    if status in (429, 503):
        assert int(answer.headers["retry-after"][0]) > 0
    if isinstance(error, Refusal) and error.transfer_id:
        assert answer.json["transfer_id"] == "trf_1"


def test_a_stored_answer_is_given_again_to_the_byte() -> None:
    stored = Api()
    body = '{"b": 1,  "a":"\\u00e9"}'

    @stored.get("/x", public=True)
    def again(_: Request[Any, Any]) -> Reply:
        return Reply.keyed(KeyedAnswer(Answer(422, body, "application/problem+json", "/v1/t"), replayed=True))

    answer = send(stored.handler, event("GET", "/x"))
    assert (answer.status, answer.text) == (422, body)
    assert answer.headers["idempotent-replayed"] == ["true"]
    assert answer.headers["location"] == ["/v1/t"]
    assert answer.headers["content-type"] == ["application/problem+json"]


def test_a_malformed_id_in_a_path_is_not_found() -> None:
    reading = Api()

    @reading.get("/accounts/{account_id}", public=True)
    def read(request: Request[Any, Any]) -> Reply:
        return Reply(200, {"id": request.id("account_id"), "cookies": dict(request.cookies), "ip": request.actor.ip})

    def status(account: str) -> int:
        return send(reading.handler, event("GET", "/accounts/{account_id}", path={"account_id": account})).status

    assert status(ACCOUNT["account_id"]) == 200
    for malformed in (
        "\x00",
        ACCOUNT["account_id"] + "\n",
        ACCOUNT["account_id"] + "/",
        "a b/c",
        "acc_1",
        "trf_01K0000000000000000000000A",
        "acc_01k0000000000000000000000a",
        "acc_" + "Z" * 26,
    ):
        assert status(malformed) == 404
    cookies = {"Cookie": "remit_refresh=abc=; other=1"}
    answer = send(reading.handler, event("GET", "/accounts/{account_id}", path=ACCOUNT, headers=cookies))
    assert answer.json["cookies"] == {"remit_refresh": "abc=", "other": "1"}
    assert answer.json["ip"] == "203.0.113.7"


def test_only_the_applications_own_origin_may_read_an_answer() -> None:
    own = post(GOOD, headers={"Origin": "https://app.remit.example"}).headers
    assert own["access-control-allow-origin"] == ["https://app.remit.example"]
    assert "Request-Id" in own["access-control-expose-headers"][0]
    other = post(GOOD, headers={"Origin": "https://evil.example"}).headers
    assert "access-control-allow-origin" not in other
    assert other["vary"] == own["vary"] == ["Origin"]


def test_a_401_says_how_to_authenticate() -> None:
    assert send(api.handler, event("GET", "/admins")).headers["www-authenticate"] == ["Bearer"]


def test_every_problem_has_an_error_status_and_a_detail_that_is_not_its_title() -> None:
    assert all(400 <= kind.status < 600 for kind in PROBLEMS.values())
    assert all(kind.detail.endswith(".") and kind.title not in kind.detail for kind in PROBLEMS.values())


keyed_api = Api()
keyed_api.get("/things")(echo)
keyed_api.post("/things")(echo)
keyed_api.post("/moves", moves_money=True)(echo)
keyed_api.get("/secrets", person=True)(echo)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ("read", {"GET /things"}),
        ("write", {"POST /things"}),
        ("payments", {"POST /moves"}),
        ("read write payments", {"GET /things", "POST /things", "POST /moves"}),
        ("", set()),
    ],
)
def test_an_api_key_may_what_its_scopes_say_and_never_what_is_a_persons(scopes: str, allowed: set[str]) -> None:
    caller = {**principal(USER), "session_id": "key_01K0000000000000000000000A", "scopes": scopes}
    routes = [("GET", "/things"), ("POST", "/things"), ("POST", "/moves"), ("GET", "/secrets")]
    headers = {"Idempotency-Key": "1"}
    answers = {
        f"{method} {path}": send(keyed_api.handler, event(method, path, caller=caller, headers=headers)).status
        for method, path in routes
    }
    assert {route for route, status in answers.items() if status == 201} == allowed
    assert {status for route, status in answers.items() if route not in allowed} <= {403}
