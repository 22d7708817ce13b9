"""Access to every route: each is called by everybody, and answers as its row in routes.py says.

Only access is checked here. An answer below 500 counts as `passes` unless it is a 401, 403 or 404 that is about access,
also if the request then turns out to be invalid.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, SECRETS, Client, Person, expect, iban, new_key, until
from tests.e2e.platform import Platform
from tests.e2e.routes import (
    CALLERS,
    FORBIDDEN,
    GONE,
    NO_FACTOR,
    NO_TOKEN,
    OLD_LOGIN,
    PASSES,
    ROUTES,
    UNVERIFIED,
    Route,
    path_of,
)
from tests.template.test_routes import OF_THE_API
from tools.http import Answer

# A route that ends the session of its caller, so each caller signs in again to call it.
ENDS_THE_SESSION = "POST /auth/logout"


def deployed() -> dict[str, Any]:
    """Return every route that the template deploys, as the code registers it."""
    modules = {importlib.import_module(each["Handler"].removesuffix(".handler")) for each in OF_THE_API.values()}
    return {f"{method} {path}": route for module in modules for (method, path), route in module.api.routes.items()}


def test_every_deployed_route_has_a_row() -> None:
    assert deployed().keys() == {str(route) for route in ROUTES}


@pytest.mark.parametrize("row", ROUTES, ids=str)
def test_the_code_registers_what_the_row_says(row: Route) -> None:
    route = deployed()[str(row)]
    assert route.public == row.is_public
    assert route.moves_money == row.moves_money
    assert route.needs_verified_email == row.needs_verified_email
    assert route.recent_login == (row.recent == "all")
    assert route.roles == (frozenset({"admin"}) if row.access == "admins" else frozenset())
    assert not route.public or not route.person


@dataclass
class Callers:
    """A client for each caller, and what makes or finds a resource of the owner."""

    platform: Platform
    clients: Mapping[str, Client]
    resources: Mapping[str, Callable[[], str]]

    def request(self, route: Route, caller: str, *, bare: bool) -> Answer:
        """Request the owner's resource; if `bare`, without the fields and the query that the route requires."""
        # Validation comes before 404, so a caller who should get 404 has to send a valid request.
        body: Any = None
        if route.has_body:
            body = {} if bare else {name: value for name, (_, value) in route.required.items()}
        ids = {name: make() for name, make in self.resources.items() if f"{{{name}}}" in route.path}
        path = path_of(route, **ids) + ("" if bare or not route.query else f"?{route.query}")
        key = new_key() if route.method == "POST" else None
        return self._client(route, caller).request(route.method, path, body, key=key)

    def _client(self, route: Route, caller: str) -> Client:
        client = self.clients[caller]
        if str(route) != ENDS_THE_SESSION or caller in ("nobody", "suspended", "owner's API key"):
            return client
        person = client if isinstance(client, Person) else self.clients["owner"]
        assert isinstance(person, Person)
        again = Person(person.url, email=person.email, app=person.app)
        again.login()
        return again


@pytest.fixture(scope="module")
def callers(platform: Platform) -> Callers:
    owner, other, admin = platform.person(funds=10_000), platform.person(), platform.admin()
    friend, arbiter, bare_admin = platform.person(), platform.arbiter(), platform.admin(second_factor=False)
    unverified = platform.register()
    unverified.login()
    suspended = platform.register()
    # This token was never used: the gateway caches the authorization of a token for a minute.
    token = suspended.login()["access_token"]
    expect(admin.request("PATCH", f"/users/{suspended.user_id}", {"status": "suspended"}), 200)
    everything = owner.post("/auth/api-keys", {"name": "all", "scopes": ["read", "write", "payments"]}, status=201)
    SECRETS.setdefault("api key", set()).add(everything["key"].split(".")[1])

    transfer = expect(owner.transfer({"user_id": friend.user_id}, 100), 201)["id"]
    (notification, *_) = until(lambda: owner.get("/notifications")["data"], what="the owner is notified")
    bank_account = {"bank_id": "hanse-bank", "holder_name": "Ada Lovelace"}
    login = {"email": owner.email, "password": PASSWORD}
    return Callers(
        platform=platform,
        clients={
            "nobody": platform.client,
            "suspended": Client(platform.run.api_url, token),
            "owner": owner,
            "owner with an old login": platform.with_old_login(owner),
            "owner's API key": Client(platform.run.api_url, everything["key"]),
            "other": other,
            "unverified": unverified,
            "arbiter": arbiter,
            "admin without a second factor": bare_admin,
            "admin": admin,
        },
        resources={
            # A new one for each request, which may delete it.
            "session_id": lambda: owner.post("/auth/login", login, status=200)["refresh_token"].split(".")[1],
            "key_id": lambda: owner.post("/auth/api-keys", {"name": "server", "scopes": ["read"]}, status=201)["id"],
            "card_id": owner.link_card,
            "bank_account_id": lambda: owner.post("/bank-accounts", bank_account | {"iban": iban("1234")}, status=201)[
                "id"
            ],
            "user_id": lambda: owner.user_id,
            "account_id": lambda: owner.accounts["USD"],
            "transfer_id": lambda: transfer,
            "notification_id": lambda: notification["id"],
        },
    )


def verdict(answer: Answer) -> str:
    """Return what an answer says about access."""
    assert answer.status < 500, answer.content
    code = answer.json["code"] if answer.status in (401, 403, 404) else ""
    return code if code in (NO_TOKEN, FORBIDDEN, GONE, NO_FACTOR, OLD_LOGIN, UNVERIFIED) else PASSES


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_caller_is_answered_as_the_contract_says(callers: Callers, route: Route) -> None:
    expected = {caller: route.verdict(caller) for caller in CALLERS}
    results = {caller: verdict(callers.request(route, caller, bare=expected[caller] == PASSES)) for caller in expected}
    assert results == expected
