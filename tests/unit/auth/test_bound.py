"""How long an access token outlives its session: no longer than the gateway keeps what the authorizer said."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from common.errors import Problem

from functions.auth.domain.sessions import ACCESS_LIFETIME
from functions.auth.domain.users import User
from functions.auth.service.sessions import Grant
from tests.support.clock import FakeClock
from tests.support.tables import template
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import Room, refused

AUTHORIZER = template()["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["Bearer"]
KEPT_FOR = timedelta(seconds=AUTHORIZER["Identity"]["ReauthorizeEvery"])


class Gateway:
    """API Gateway's cache: what the authorizer allowed stands for a while, by the Authorization header alone."""

    def __init__(self, authorize: Callable[[str], Any], now: FakeClock) -> None:
        self._authorize = authorize
        self._now = now
        self._allowed_at: dict[str, datetime] = {}

    def lets_in(self, token: str) -> bool:
        at = self._allowed_at.get(token)
        if at is not None and self._now() - at < KEPT_FOR:
            return True
        self._allowed_at.pop(token, None)
        try:
            self._authorize(token)
        except Problem:
            return False
        self._allowed_at[token] = self._now()
        return True


def logout(room: Room, grant: Grant) -> None:
    room.sessions.logout([grant.refresh_token], None)


def end(room: Room, grant: Grant) -> None:
    room.sessions.end(grant.user.id, grant.refresh_token.split(".")[1])


def theft(room: Room, grant: Grant) -> None:
    room.sessions.refresh(grant.refresh_token, STRANGER)
    room.clock.advance(seconds=11)
    refused("invalid_refresh_token", room.sessions.refresh, grant.refresh_token, STRANGER)


def suspend(room: Room, grant: Grant) -> None:
    room.administration.change(STRANGER, grant.user.id, None, "suspended")


def change_role(room: Room, grant: Grant) -> None:
    room.administration.change(STRANGER, grant.user.id, "arbiter", None)


def delete(room: Room, grant: Grant) -> None:
    room.administration.delete(replace(STRANGER, user_id=grant.user.id), grant.user.id, admin=False)


def raise_the_generation(room: Room, grant: Grant) -> None:
    """As a reset of the password does."""
    user = room.store.users[grant.user.id]
    room.store.users[user.id] = user.revised(room.clock(), generation=user.generation + 1)


ENDS = [logout, end, theft, suspend, change_role, delete, raise_the_generation]


@pytest.fixture
def user(room: Room) -> User:
    return room.register()


def test_the_contract_says_a_minute_at_most() -> None:
    assert timedelta(0) < KEPT_FOR <= timedelta(seconds=60)
    assert AUTHORIZER["Identity"]["Headers"] == ["Authorization"]


@pytest.mark.parametrize("ending", ENDS)
def test_a_token_is_dead_a_cache_time_after_its_session_at_the_latest(
    room: Room, user: User, ending: Callable[[Room, Grant], None]
) -> None:
    grant = room.login()
    gateway = Gateway(room.sessions.authorize, room.clock)
    ending(room, grant)
    ended_at = room.clock()
    # The worst: the authorizer allowed it in the moment before.
    gateway._allowed_at[grant.access_token] = ended_at
    outlived = timedelta(0)
    while gateway.lets_in(grant.access_token):
        room.clock.advance(seconds=1)
        outlived = room.clock() - ended_at
        assert outlived <= KEPT_FOR
    assert outlived == KEPT_FOR < ACCESS_LIFETIME
    room.clock.advance(seconds=1)
    assert not gateway.lets_in(grant.access_token)


@pytest.mark.parametrize("ending", ENDS)
def test_a_token_not_seen_lately_is_dead_at_once(room: Room, user: User, ending: Callable[[Room, Grant], None]) -> None:
    grant = room.login()
    ending(room, grant)
    assert not Gateway(room.sessions.authorize, room.clock).lets_in(grant.access_token)


def test_a_key_is_dead_a_cache_time_after_it_was_revoked(room: Room, user: User) -> None:
    key, text = room.api_keys.create(STRANGER, user.id, "server", {"read"})
    gateway = Gateway(room.api_keys.authorize, room.clock)
    assert gateway.lets_in(text)
    room.api_keys.revoke(STRANGER, user.id, key.id)
    room.clock.advance(seconds=KEPT_FOR.total_seconds())
    assert not gateway.lets_in(text)


def test_what_lives_is_let_in_throughout(room: Room, user: User) -> None:
    grant = room.login()
    gateway = Gateway(room.sessions.authorize, room.clock)
    for _ in range(14):
        assert gateway.lets_in(grant.access_token)
        room.clock.advance(minutes=1)
