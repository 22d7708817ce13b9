"""Who may do what: every route asked by everybody, and what the contract says they are answered.

A row says who gets past the checks of access. What comes after them (a body that is not valid, money in the account) is
no refusal: an answer below 500 that is none of 401 unauthenticated, 403 and 404 counts as `passes`.
"""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from localstack.http import Answer
from tests.e2e.client import Client, Person, expect, iban, new_key, until
from tests.e2e.routes import ROUTES
from tests.e2e.world import World
from tests.template.test_routes import OF_THE_API

CALLERS = ("nobody", "owner", "other", "arbiter", "admin", "suspended", "unverified")
PASSES, NO_TOKEN, GONE, FORBIDDEN, UNVERIFIED = "passes", "unauthenticated", "not_found", "forbidden", "not verified"


def access(others: str, *passing: str, **exceptions: str) -> dict[str, str]:
    """What each caller is answered: those named pass, and of the others those without a good token are told so."""
    answers = dict.fromkeys(CALLERS, others) | dict.fromkeys(("nobody", "suspended"), NO_TOKEN)
    return answers | dict.fromkeys(passing, PASSES) | exceptions


PUBLIC = access(PASSES, *CALLERS)
ANY_TOKEN = access(PASSES, "suspended")
"""Takes the token itself, with no authorizer before it, and only ends what it stands for."""
USERS = access(PASSES)
PAYERS = access(PASSES, unverified=UNVERIFIED)
OWNER = access(GONE, "owner")
OWNER_OR_ADMIN = access(GONE, "owner", "admin")
ADMINS = access(FORBIDDEN, "admin")

ROWS: Mapping[str, dict[str, str]] = {
    "POST /auth/register": PUBLIC,
    "POST /auth/verify-email": PUBLIC,
    "POST /auth/resend-code": PUBLIC,
    "POST /auth/login": PUBLIC,
    "POST /auth/login/verify": PUBLIC,
    "POST /auth/refresh": PUBLIC,
    "POST /auth/logout": ANY_TOKEN,
    "GET /auth/me": USERS,
    "PATCH /auth/me": USERS,
    "GET /auth/validate": USERS,
    "POST /auth/password/change": USERS,
    "POST /auth/password/forgot": PUBLIC,
    "POST /auth/password/reset": PUBLIC,
    "POST /auth/email/change": USERS,
    "POST /auth/email/confirm": USERS,
    "POST /auth/phone": USERS,
    "POST /auth/phone/confirm": USERS,
    "POST /auth/totp": USERS,
    "POST /auth/totp/confirm": USERS,
    "POST /auth/totp/disable": USERS,
    "GET /auth/sessions": USERS,
    "DELETE /auth/sessions/{session_id}": OWNER,
    "POST /auth/api-keys": USERS,
    "GET /auth/api-keys": USERS,
    "DELETE /auth/api-keys/{key_id}": OWNER,
    "GET /users": ADMINS,
    "GET /users/{user_id}": OWNER_OR_ADMIN,
    "PATCH /users/{user_id}": ADMINS,
    "DELETE /users/{user_id}": OWNER_OR_ADMIN,
    "GET /.well-known/jwks.json": PUBLIC,
    "GET /.well-known/openid-configuration": PUBLIC,
    "GET /banks": PUBLIC,
    "GET /currencies": PUBLIC,
    "POST /accounts": USERS,
    "GET /accounts": USERS,
    "GET /accounts/{account_id}": OWNER_OR_ADMIN,
    "PATCH /accounts/{account_id}": OWNER_OR_ADMIN,
    "DELETE /accounts/{account_id}": OWNER_OR_ADMIN,
    "GET /accounts/{account_id}/balance": OWNER_OR_ADMIN,
    "GET /accounts/{account_id}/entries": OWNER_OR_ADMIN,
    "GET /accounts/{account_id}/statement": OWNER_OR_ADMIN,
    "PUT /accounts/{account_id}/pin": OWNER,
    "POST /accounts/{account_id}/pin/reset": OWNER,
    "POST /accounts/{account_id}/pin/confirm": OWNER,
    "GET /accounts/{account_id}/limits": OWNER,
    "PUT /accounts/{account_id}/limits": OWNER,
    "POST /cards": USERS,
    "GET /cards": USERS,
    "DELETE /cards/{card_id}": OWNER,
    "POST /bank-accounts": USERS,
    "GET /bank-accounts": USERS,
    "DELETE /bank-accounts/{bank_account_id}": OWNER,
    "GET /payees": USERS,
    "POST /transfers": PAYERS,
    "GET /transfers": USERS,
    "GET /transfers/{transfer_id}": OWNER_OR_ADMIN,
    "POST /deposits": PAYERS,
    "GET /notifications": USERS,
    "POST /notifications/{notification_id}/read": OWNER,
    "POST /notifications/read-all": USERS,
    "GET /health": PUBLIC,
}
ENDS_THE_SESSION = ("POST /auth/logout",)
"""Ends the session it is asked with, so each caller signs in for it anew."""


def registered() -> set[str]:
    """Every route that the template leads to."""
    modules = {importlib.import_module(each["Handler"].removesuffix(".handler")) for each in OF_THE_API.values()}
    return {f"{method} {path}" for module in modules for method, path in module.api.routes}


def test_every_route_has_a_row() -> None:
    assert registered() == ROWS.keys()


@dataclass
class Cast:
    """Who asks, and what of the owner's they ask for."""

    callers: Mapping[str, Client]
    owned: Mapping[str, str]

    def ask(self, row: str, caller: str, *, bare: bool) -> Answer:
        """One request for the owner's resource; `bare` without what the route requires."""
        method, resource = row.split(" ")
        path = re.sub(r"{(\w+)}", lambda match: self.owned[match[1]], resource)
        route = next(each for each in ROUTES if str(each) == row)
        # Validation comes before "not there": whoever is to find nothing has to ask for it properly.
        body: Any = None
        if route.has_body:
            body = {} if bare else {name: route.good()[name] for name in route.required}
        client = self.callers[caller]
        if row in ENDS_THE_SESSION and isinstance(client, Person):
            client = Client(client.url, client.post("/auth/login", _credentials(client), status=200)["access_token"])
        query = "" if bare or not route.query else f"?{route.query}"
        return client.request(method, path + query, body, key=new_key() if method == "POST" else None)


def _credentials(person: Person) -> dict[str, str]:
    return {"email": person.email, "password": "correct horse battery staple"}


@pytest.fixture(scope="module")
def cast(world: World) -> Cast:
    owner, other, admin = world.person(funds=10_000), world.person(), world.admin()
    friend, arbiter = world.person(), world.arbiter()
    unverified = world.register()
    unverified.login()
    suspended = world.register()
    # Never used before: what the authorizer allowed once, the gateway remembers for a minute.
    token = suspended.login()["access_token"]
    expect(admin.request("PATCH", f"/users/{suspended.user_id}", {"status": "suspended"}), 200)

    transfer = expect(owner.transfer({"user_id": friend.user_id}, 100), 201)["id"]
    bank_account = {"bank_id": "hanse-bank", "iban": iban("1234"), "holder_name": "Ada Lovelace"}
    (notification, *_) = until(lambda: owner.get("/notifications")["data"], what="the owner was told")
    session = owner.post("/auth/login", _credentials(owner), status=200)["refresh_token"].split(".")[1]
    return Cast(
        callers={
            "nobody": world.client,
            "owner": owner,
            "other": other,
            "arbiter": arbiter,
            "admin": admin,
            "suspended": Client(world.run.api_url, token),
            "unverified": unverified,
        },
        owned={
            "user_id": owner.user_id,
            "session_id": session,
            "key_id": owner.post("/auth/api-keys", {"name": "server", "scopes": ["read"]}, status=201)["id"],
            "account_id": owner.accounts["USD"],
            "card_id": owner.link_card(),
            "bank_account_id": owner.post("/bank-accounts", bank_account, status=201)["id"],
            "transfer_id": transfer,
            "notification_id": notification["id"],
        },
    )


def verdict(answer: Answer) -> str:
    """What an answer says about access."""
    assert answer.status < 500, answer.content
    code = answer.json["code"] if answer.status in (401, 403, 404) else ""
    if code == "email_not_verified":
        return UNVERIFIED
    return code if code in (NO_TOKEN, FORBIDDEN, GONE) else PASSES


@pytest.mark.parametrize("row", ROWS)
def test_everybody_is_answered_as_the_contract_says(cast: Cast, row: str) -> None:
    expected = ROWS[row]
    # Those who find nothing ask first: the owner's request may be the end of what it is for.
    order = sorted(CALLERS, key=lambda caller: expected[caller] == PASSES)
    answered = {caller: verdict(cast.ask(row, caller, bare=expected[caller] == PASSES)) for caller in order}
    assert answered == expected
