"""An access token outlives its session at most as long as the gateway caches the authorizer's decision."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from common.errors import Refusal

from functions.auth.domain.sessions import ACCESS_LIFETIME, GrantedTokens
from functions.auth.domain.users import User
from tests.support.clock import FakeClock
from tests.support.tables import ROOT, read
from tests.unit.auth.world import ANONYMOUS, World, refused

AUTHORIZER = read(ROOT / "gateway.yaml")["components"]["securitySchemes"]["Bearer"]["x-amazon-apigateway-authorizer"]
CACHED_FOR = timedelta(seconds=AUTHORIZER["authorizerResultTtlInSeconds"])


class Gateway:
    """API Gateway's cache of allowed requests, by the Authorization header alone."""

    def __init__(self, authorize: Callable[[str], Any], now: FakeClock) -> None:
        self._authorize = authorize
        self._now = now
        self._allowed_at: dict[str, datetime] = {}

    def allows(self, token: str) -> bool:
        at = self._allowed_at.get(token)
        if at is not None and self._now() - at < CACHED_FOR:
            return True
        self._allowed_at.pop(token, None)
        try:
            self._authorize(token)
        except Refusal:
            return False
        self._allowed_at[token] = self._now()
        return True


def logout(world: World, granted: GrantedTokens) -> None:
    world.sessions.logout([granted.refresh_token], None)


def end(world: World, granted: GrantedTokens) -> None:
    world.sessions.end(granted.user.id, granted.refresh_token.split(".")[1])


def theft(world: World, granted: GrantedTokens) -> None:
    world.sessions.refresh(granted.refresh_token, ANONYMOUS)
    world.clock.advance(seconds=11)
    refused("invalid_refresh_token", world.sessions.refresh, granted.refresh_token, ANONYMOUS)


def suspend(world: World, granted: GrantedTokens) -> None:
    world.administration.change(ANONYMOUS, granted.user.id, None, "suspended")


def change_role(world: World, granted: GrantedTokens) -> None:
    world.administration.change(ANONYMOUS, granted.user.id, "arbiter", None)


def delete(world: World, granted: GrantedTokens) -> None:
    world.administration.delete(replace(ANONYMOUS, user_id=granted.user.id), granted.user.id, admin=False)


def raise_the_generation(world: World, granted: GrantedTokens) -> None:
    """Do what a password reset does."""
    user = world.stored.users[granted.user.id]
    world.put_user(user.revised(world.clock(), generation=user.generation + 1))


ENDS = [logout, end, theft, suspend, change_role, delete, raise_the_generation]


@pytest.fixture
def user(world: World) -> User:
    return world.register()


def test_the_gateway_caches_for_at_most_a_minute() -> None:
    assert timedelta(0) < CACHED_FOR <= timedelta(seconds=60)
    assert AUTHORIZER["identitySource"] == "method.request.header.Authorization"


@pytest.mark.parametrize("ending", ENDS)
def test_a_token_ends_at_most_one_cache_time_after_its_session(
    world: World, user: User, ending: Callable[[World, GrantedTokens], None]
) -> None:
    granted = world.login()
    gateway = Gateway(world.sessions.authorize, world.clock)
    ending(world, granted)
    ended_at = world.clock()
    # The worst case: the authorizer allowed it a moment earlier.
    gateway._allowed_at[granted.access_token] = ended_at
    outlived = timedelta(0)
    while gateway.allows(granted.access_token):
        world.clock.advance(seconds=1)
        outlived = world.clock() - ended_at
        assert outlived <= CACHED_FOR
    assert outlived == CACHED_FOR < ACCESS_LIFETIME
    world.clock.advance(seconds=1)
    assert not gateway.allows(granted.access_token)


@pytest.mark.parametrize("ending", ENDS)
def test_a_token_that_is_not_cached_ends_at_once(
    world: World, user: User, ending: Callable[[World, GrantedTokens], None]
) -> None:
    granted = world.login()
    ending(world, granted)
    assert not Gateway(world.sessions.authorize, world.clock).allows(granted.access_token)


def test_a_key_ends_one_cache_time_after_it_was_revoked(world: World, user: User) -> None:
    key, text = world.api_keys.create(ANONYMOUS, user.id, "server", {"read"})
    gateway = Gateway(world.api_keys.authorize, world.clock)
    assert gateway.allows(text)
    world.api_keys.revoke(ANONYMOUS, user.id, key.id)
    world.clock.advance(seconds=CACHED_FOR.total_seconds())
    assert not gateway.allows(text)


def test_a_live_session_is_always_allowed(world: World, user: User) -> None:
    granted = world.login()
    gateway = Gateway(world.sessions.authorize, world.clock)
    for _ in range(14):
        assert gateway.allows(granted.access_token)
        world.clock.advance(minutes=1)
