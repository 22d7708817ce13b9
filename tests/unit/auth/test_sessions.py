from dataclasses import replace

import pytest

from functions.auth.domain.sessions import RefreshToken
from functions.auth.service.sessions import Grant
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import Room, refused


@pytest.fixture
def grant(room: Room) -> Grant:
    room.register()
    return room.login()


def refresh(room: Room, grant: Grant) -> Grant:
    return room.sessions.refresh(grant.refresh_token, STRANGER)


def is_live(room: Room) -> bool:
    (session,) = room.store.sessions.values()
    return session.is_live(room.clock())


def test_a_refresh_rotates_the_token_and_tells_what_the_user_is_now(room: Room, grant: Grant) -> None:
    room.verify(room.mint(grant.user))
    room.clock.advance(minutes=10)
    following = refresh(room, grant)
    assert following.refresh_token != grant.refresh_token
    before, after = room.tokens.verify(grant.access_token), room.tokens.verify(following.access_token)
    assert (before.session_id, before.email_verified) == (after.session_id, False)
    assert after.email_verified
    assert following.user.email_verified
    assert refresh(room, following).refresh_token not in (grant.refresh_token, following.refresh_token)


def test_a_refresh_notes_when_and_from_where(room: Room, grant: Grant) -> None:
    room.clock.advance(minutes=10)
    room.sessions.refresh(grant.refresh_token, replace(STRANGER, ip="203.0.113.8"))
    (session,) = room.store.sessions.values()
    assert (session.rotated_at, session.ip) == ("2026-11-21T09:40:00.000Z", "203.0.113.8")
    assert session.created_at == "2026-11-21T09:30:00.000Z"


def test_a_token_used_again_within_ten_seconds_is_refused_and_the_session_lives(room: Room, grant: Grant) -> None:
    following = refresh(room, grant)
    room.clock.advance(seconds=10)
    refused("invalid_refresh_token", refresh, room, grant)
    refresh(room, following)


def test_a_token_used_again_later_ends_the_session(room: Room, grant: Grant) -> None:
    following = refresh(room, grant)
    room.clock.advance(seconds=10, milliseconds=1)
    refused("invalid_refresh_token", refresh, room, grant)
    refused("invalid_refresh_token", refresh, room, following)
    refused("unauthenticated", room.sessions.authorize, following.access_token)


def test_a_token_of_many_rotations_ago_ends_the_session_too(room: Room, grant: Grant) -> None:
    following = refresh(room, refresh(room, refresh(room, grant)))
    room.clock.advance(seconds=11)
    refused("invalid_refresh_token", refresh, room, grant)
    refused("invalid_refresh_token", refresh, room, following)


def test_two_refreshes_at_once_give_one_token(room: Room, grant: Grant) -> None:
    won: list[Grant] = []
    room.store.before("rotate", lambda: won.append(refresh(room, grant)))
    refused("invalid_refresh_token", refresh, room, grant)
    refresh(room, won[0])


def test_a_session_ended_meanwhile_gives_no_token(room: Room, grant: Grant) -> None:
    room.store.before("rotate", lambda: room.sessions.logout([grant.refresh_token], None))
    refused("invalid_refresh_token", refresh, room, grant)
    assert not is_live(room)


def test_a_refresh_token_lives_thirty_days_from_its_rotation(room: Room, grant: Grant) -> None:
    room.clock.advance(days=29)
    following = refresh(room, grant)
    room.clock.advance(days=29, hours=23)
    following = refresh(room, following)
    room.clock.advance(days=30)
    refused("invalid_refresh_token", refresh, room, following)


def test_somebody_who_only_knows_the_ids_can_neither_refresh_nor_end_a_session(room: Room, grant: Grant) -> None:
    user_id, session_id, _, secret = grant.refresh_token.split(".")
    forged = f"{user_id}.{session_id}.{'A' * 43}.{secret}"
    room.clock.advance(minutes=1)
    refused("invalid_refresh_token", room.sessions.refresh, forged, STRANGER)
    room.sessions.logout([forged], None)
    assert is_live(room)


@pytest.mark.parametrize("text", ["", "...", "a.b.c.d", "é" * 40])
def test_what_is_no_token_is_refused(room: Room, grant: Grant, text: str) -> None:
    refused("invalid_refresh_token", room.sessions.refresh, text, STRANGER)
    refused("invalid_refresh_token", room.sessions.refresh, grant.refresh_token + text + ".", STRANGER)


def test_a_token_of_an_unknown_session_or_user_is_refused(room: Room, grant: Grant) -> None:
    token = RefreshToken.parse(grant.refresh_token)
    assert token is not None
    other = replace(token, session_id="ses_01K0000000000000000000000A")
    refused("invalid_refresh_token", room.sessions.refresh, other.text, STRANGER)
    room.sessions.logout([other.text], None)
    assert is_live(room)
    room.store.users.clear()
    refused("invalid_refresh_token", refresh, room, grant)


def test_a_suspended_user_gets_no_token(room: Room, grant: Grant) -> None:
    room.store.users[grant.user.id] = replace(grant.user, status="suspended")
    refused("invalid_refresh_token", refresh, room, grant)


class TestLogout:
    def test_ends_the_session_of_an_access_token_or_a_refresh_token_and_again(self, room: Room, grant: Grant) -> None:
        room.sessions.logout([], grant.access_token)
        assert not is_live(room)
        (ended,) = room.store.sessions.values()
        room.clock.advance(seconds=1)
        room.sessions.logout([], grant.access_token)
        room.sessions.logout([grant.refresh_token], None)
        assert list(room.store.sessions.values()) == [ended]

    def test_ends_every_session_that_was_named(self, room: Room, grant: Grant) -> None:
        others = [room.login() for _ in range(3)]
        room.sessions.logout([others[0].refresh_token, others[1].refresh_token], grant.access_token)
        live = [session.id for session in room.store.sessions.values() if session.is_live(room.clock())]
        assert live == [others[2].refresh_token.split(".")[1]]

    def test_takes_a_refresh_token_that_was_rotated(self, room: Room, grant: Grant) -> None:
        refresh(room, grant)
        room.sessions.logout([grant.refresh_token], None)
        assert not is_live(room)

    def test_needs_something_to_go_by(self, room: Room, grant: Grant) -> None:
        refused("unauthenticated", room.sessions.logout, [], None)
        refused("unauthenticated", room.sessions.logout, [], grant.access_token + "x")
        assert is_live(room)

    def test_is_done_for_a_refresh_token_that_was_never_ours(self, room: Room, grant: Grant) -> None:
        room.sessions.logout(["gone"], "a bad access token")
        assert is_live(room)


class TestAuthorize:
    def test_says_who_is_asking(self, room: Room, grant: Grant) -> None:
        claims = room.sessions.authorize(grant.access_token)
        assert (claims.user_id, claims.role, claims.email_verified) == (grant.user.id, "customer", False)
        assert claims.scopes == ("read", "write", "payments")

    def test_refuses_where_the_session_has_ended_or_gone(self, room: Room, grant: Grant) -> None:
        room.sessions.logout([], grant.access_token)
        refused("unauthenticated", room.sessions.authorize, grant.access_token)
        room.store.sessions.clear()
        refused("unauthenticated", room.sessions.authorize, grant.access_token)

    def test_refuses_a_bad_token(self, room: Room, grant: Grant) -> None:
        refused("unauthenticated", room.sessions.authorize, grant.refresh_token)
