"""Access to every route: each is called by everybody, and answers as its row in routes.py says.

Only access is checked here. An answer below 500 other than 401 `unauthenticated`, 403 and 404 counts as `passes`, also
if the request then turns out to be invalid.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, Client, Person, expect, iban, new_key, until
from tests.e2e.platform import Platform
from tests.e2e.routes import (
    CALLERS,
    FORBIDDEN,
    GONE,
    NO_TOKEN,
    PASSES,
    ROUTES,
    UNVERIFIED,
    Route,
    path_of,
)
from tests.template.test_routes import OF_THE_API
from tools.http import Answer

# Routes that end the session of their caller, so each caller signs in again to call them.
ENDS_THE_SESSION = ("POST /auth/logout",)


def deployed() -> set[str]:
    """Return every route that the template deploys."""
    modules = {importlib.import_module(each["Handler"].removesuffix(".handler")) for each in OF_THE_API.values()}
    return {f"{method} {path}" for module in modules for method, path in module.api.routes}


def test_every_deployed_route_has_a_row() -> None:
    assert deployed() == {str(route) for route in ROUTES}


@dataclass
class Callers:
    """A client for each caller, and the ids of resources of the owner."""

    clients: Mapping[str, Client]
    resources: Mapping[str, str]

    def request(self, route: Route, caller: str, *, bare: bool) -> Answer:
        """Request the owner's resource; if `bare`, without the fields and the query that the route requires."""
        # Validation comes before 404, so a caller who should get 404 has to send a valid request.
        body: Any = None
        if route.has_body:
            body = {} if bare else {name: value for name, (_, value) in route.required.items()}
        client = self.clients[caller]
        if str(route) in ENDS_THE_SESSION and isinstance(client, Person):
            client = Client(client.url, client.post("/auth/login", _credentials(client), status=200)["access_token"])
        path = path_of(route, **self.resources) + ("" if bare or not route.query else f"?{route.query}")
        return client.request(route.method, path, body, key=new_key() if route.method == "POST" else None)


def _credentials(person: Person) -> dict[str, str]:
    return {"email": person.email, "password": PASSWORD}


@pytest.fixture(scope="module")
def callers(platform: Platform) -> Callers:
    owner, other, admin = platform.person(funds=10_000), platform.person(), platform.admin()
    friend, arbiter = platform.person(), platform.arbiter()
    unverified = platform.register()
    unverified.login()
    suspended = platform.register()
    # This token was never used: the gateway caches the authorization of a token for a minute.
    token = suspended.login()["access_token"]
    expect(admin.request("PATCH", f"/users/{suspended.user_id}", {"status": "suspended"}), 200)

    transfer = expect(owner.transfer({"user_id": friend.user_id}, 100), 201)["id"]
    bank_account = {"bank_id": "hanse-bank", "iban": iban("1234"), "holder_name": "Ada Lovelace"}
    (notification, *_) = until(lambda: owner.get("/notifications")["data"], what="the owner is notified")
    session = owner.post("/auth/login", _credentials(owner), status=200)["refresh_token"].split(".")[1]
    return Callers(
        clients={
            "nobody": platform.client,
            "owner": owner,
            "other": other,
            "arbiter": arbiter,
            "admin": admin,
            "suspended": Client(platform.run.api_url, token),
            "unverified": unverified,
        },
        resources={
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
    """Return what an answer says about access."""
    assert answer.status < 500, answer.content
    code = answer.json["code"] if answer.status in (401, 403, 404) else ""
    if code == "email_not_verified":
        return UNVERIFIED
    return code if code in (NO_TOKEN, FORBIDDEN, GONE) else PASSES


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_caller_is_answered_as_the_contract_says(callers: Callers, route: Route) -> None:
    # Those who must not find the resource go first: the owner's request may delete it.
    order = sorted(CALLERS, key=lambda caller: route.access[caller] == PASSES)
    results = {caller: verdict(callers.request(route, caller, bare=route.access[caller] == PASSES)) for caller in order}
    assert results == route.access
