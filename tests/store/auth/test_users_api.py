from typing import Any

import pytest
from common import tasks
from common.contracts.accounts import CLOSE_ACCOUNTS, CloseAccounts
from common.contracts.task import Done, Task
from common.dynamo import Table
from common.errors import Refusal
from common.http import request

from functions.auth.tasks import grant_role
from tests.store.auth.client import ADA, CREDENTIALS, ask, authorize, find, minted_code, post, verify
from tests.support.rest import CONTEXT

GRACE = {**ADA, "email": "grace@example.com", "phone": None}


class Accounts:
    """The accounts context, as far as it closes accounts."""

    def __init__(self) -> None:
        self.closings: list[str] = []
        self.have_money = False

    def call(self, task: Task[Any, Any], request: CloseAccounts) -> Done:
        assert task == CLOSE_ACCOUNTS
        self.closings.append(request.user_id)
        if self.have_money:
            raise Refusal("account_not_empty")
        return Done()


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    accounts = Accounts()
    monkeypatch.setattr(tasks, "call", accounts.call)
    return accounts


@pytest.fixture
def admin(table: Table) -> str:
    """The access token of Ada, an admin with a second factor."""
    post("/auth/register", ADA)
    verify("ada@example.com")
    assert grant("ada@example.com")["outcome"] == "granted"
    token = str(post("/auth/login", CREDENTIALS).json["access_token"])
    assert ask(token, "GET", "/users").code == "second_factor_required"
    ask(token, "PATCH", "/auth/me", {"second_factor": "email"})
    # The factor counts once a login has proved it: a stolen token must not gain privileges by turning it on.
    assert ask(token, "GET", "/users").code == "second_factor_required"
    challenge = post("/auth/login", CREDENTIALS).json["challenge_id"]
    code = {"challenge_id": challenge, "code": minted_code(challenge)}
    return str(post("/auth/login/verify", code).json["access_token"])


@pytest.fixture
def grace(admin: str) -> dict[str, Any]:
    """The tokens of Grace, a customer."""
    post("/auth/register", GRACE)
    verify("grace@example.com")
    granted: dict[str, Any] = post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).json
    return granted


def grant(email: str, role: str = "admin") -> dict[str, str]:
    answer: dict[str, str] = grant_role.handler({"email": email, "role": role}, CONTEXT)
    return answer


def deny(token: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {token}")


def test_an_admin_lists_and_reads_users(admin: str, grace: dict[str, Any]) -> None:
    listed = ask(admin, "GET", "/users").json
    assert [user["email"] for user in listed["data"]] == ["grace@example.com", "ada@example.com"]
    assert listed["data"][0] == grace["user"] == ask(admin, "GET", "/users/{user_id}", user_id=grace["user"]["id"]).json
    first = ask(admin, "GET", "/users", query={"limit": "1"}).json
    last = ask(admin, "GET", "/users", query={"limit": "1", "cursor": first["next_cursor"]}).json
    assert (first["data"] + last["data"], last["next_cursor"]) == (listed["data"], None)


@pytest.mark.parametrize(
    ("query", "emails"),
    [
        ({"role": "admin"}, ["ada@example.com"]),
        ({"status": "suspended"}, []),
        ({"email": " Grace@example.com"}, ["grace@example.com"]),
        ({"email": "grace@example.com", "role": "admin"}, []),
    ],
)
def test_the_list_filters(admin: str, grace: dict[str, Any], query: dict[str, str], emails: list[str]) -> None:
    assert [user["email"] for user in ask(admin, "GET", "/users", query=query).json["data"]] == emails


@pytest.mark.parametrize("query", [{"role": "root"}, {"status": "deleted"}, {"email": "x"}, {"name": "x"}])
def test_a_bad_filter_is_refused(admin: str, query: dict[str, str]) -> None:
    assert ask(admin, "GET", "/users", query=query).code == "validation_failed"


def test_a_cursor_is_valid_only_for_its_filters(admin: str, grace: dict[str, Any]) -> None:
    cursor = ask(admin, "GET", "/users", query={"limit": "1"}).json["next_cursor"]
    assert ask(admin, "GET", "/users", query={"cursor": cursor, "status": "active"}).code == "invalid_cursor"


def test_a_customer_reads_only_themselves(admin: str, grace: dict[str, Any]) -> None:
    token, mine = grace["access_token"], grace["user"]["id"]
    other = authorize(f"Bearer {admin}")["principalId"]
    assert ask(token, "GET", "/users/{user_id}", user_id=mine).json == grace["user"]
    for user_id in (other, "usr_01K0000000000000000000000A", "usr_x"):
        assert ask(token, "GET", "/users/{user_id}", user_id=user_id).code == "not_found"
        assert ask(token, "DELETE", "/users/{user_id}", user_id=user_id).code == "not_found"
        assert ask(token, "PATCH", "/users/{user_id}", {"role": "admin"}, user_id=user_id).code == "forbidden"
    assert ask(token, "PATCH", "/users/{user_id}", {"role": "admin"}, user_id=mine).code == "forbidden"
    assert ask(token, "GET", "/users").code == "forbidden"


def test_an_admin_suspends_and_reactivates(admin: str, grace: dict[str, Any]) -> None:
    path = {"user_id": grace["user"]["id"]}
    suspended = ask(admin, "PATCH", "/users/{user_id}", {"status": "suspended"}, **path)
    assert (suspended.status, suspended.json["status"]) == (200, "suspended")
    deny(grace["access_token"])
    assert post("/auth/refresh", {"refresh_token": grace["refresh_token"]}).code == "invalid_refresh_token"
    assert post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).code == "account_suspended"
    assert find(user_id=path["user_id"])["status"] == "suspended"
    assert ask(admin, "PATCH", "/users/{user_id}", {"status": "active"}, **path).json["status"] == "active"
    assert post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).status == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": None}, "/role"),
        ({"role": "root"}, "/role"),
        ({"status": None}, "/status"),
        ({"status": "deleted"}, "/status"),
        ({"email": "x@example.com"}, "/email"),
    ],
)
def test_a_bad_change_is_refused(admin: str, grace: dict[str, Any], body: object, pointer: str) -> None:
    answer = ask(admin, "PATCH", "/users/{user_id}", body, user_id=grace["user"]["id"])
    assert (answer.status, [error["pointer"] for error in answer.json["errors"]]) == (400, [pointer])


def test_the_last_admin_stays(admin: str, grace: dict[str, Any], accounts: Accounts) -> None:
    mine = authorize(f"Bearer {admin}")["principalId"]
    assert ask(admin, "PATCH", "/users/{user_id}", {"role": "customer"}, user_id=mine).code == "forbidden"
    answer = ask(admin, "DELETE", "/users/{user_id}", user_id=mine)
    assert (answer.status, answer.code, accounts.closings) == (409, "invalid_state", [])
    assert grant("ada@example.com", "customer") == {"outcome": "last_admin", "user_id": mine}
    assert grant("nobody@example.com") == {"outcome": "not_found", "user_id": ""}


@pytest.mark.parametrize("by", ["self", "admin"])
def test_a_deleted_user_is_gone(admin: str, grace: dict[str, Any], table: Table, accounts: Accounts, by: str) -> None:
    user_id = grace["user"]["id"]
    text = ask(grace["access_token"], "POST", "/auth/api-keys", {"name": "x", "scopes": ["read"]}).json["key"]
    token = admin if by == "admin" else grace["access_token"]
    assert ask(token, "DELETE", "/users/{user_id}", user_id=user_id).status == 204
    assert accounts.closings == [user_id]
    for gone in (grace["access_token"], text):
        deny(gone)
    assert ask(admin, "DELETE", "/users/{user_id}", user_id=user_id).status == 204
    assert ask(admin, "GET", "/users/{user_id}", user_id=user_id).code == "not_found"
    assert ask(admin, "PATCH", "/users/{user_id}", {"role": "arbiter"}, user_id=user_id).code == "not_found"
    assert [user["email"] for user in ask(admin, "GET", "/users").json["data"]] == ["ada@example.com"]
    assert find(user_id=user_id)["outcome"] == "not_found"
    assert post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).code == "invalid_credentials"
    assert "grace" not in str(list(table.scan())).lower()
    assert post("/auth/register", GRACE).status == 201


def test_a_user_deletes_themselves_only_after_a_recent_login(
    grace: dict[str, Any], monkeypatch: pytest.MonkeyPatch, accounts: Accounts
) -> None:
    user_id = grace["user"]["id"]
    monkeypatch.setattr(request, "RECENT_LOGIN_SECONDS", -1)
    refused = ask(grace["access_token"], "DELETE", "/users/{user_id}", user_id=user_id)
    assert (refused.status, refused.code, accounts.closings) == (403, "reauthentication_required", [])
    assert find(user_id=user_id)["outcome"] == "found"


def test_an_admin_removes_the_second_factor_of_another_user(admin: str, grace: dict[str, Any]) -> None:
    path, user_id = "/users/{user_id}/second-factor", grace["user"]["id"]
    assert ask(grace["access_token"], "PATCH", "/auth/me", {"second_factor": "email"}).status == 200
    assert ask(grace["access_token"], "DELETE", path, user_id=user_id).code == "forbidden"
    mine = authorize(f"Bearer {admin}")["principalId"]
    assert ask(admin, "DELETE", path, user_id=mine).code == "forbidden"
    assert ask(admin, "DELETE", path, user_id="usr_01K0000000000000000000000A").code == "not_found"
    for _ in range(2):
        answer = ask(admin, "DELETE", path, user_id=user_id)
        assert (answer.status, answer.text) == (204, "")
    deny(grace["access_token"])
    assert post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).json["user"]["second_factor"] == "none"


def test_a_user_with_money_can_not_be_deleted(admin: str, grace: dict[str, Any], accounts: Accounts) -> None:
    accounts.have_money = True
    answer = ask(grace["access_token"], "DELETE", "/users/{user_id}", user_id=grace["user"]["id"])
    assert (answer.status, answer.code) == (409, "account_not_empty")
    assert ask(grace["access_token"], "GET", "/auth/me").status == 200
