import re
from dataclasses import replace
from typing import Any

import pytest
from common.events import Actor

from functions.auth.domain.sessions import RefreshToken
from functions.auth.service.sessions import Grant
from tests.unit.auth.fakes import STRANGER
from tests.unit.auth.room import EMAIL, PASSWORD, Room, refused


@pytest.fixture
def grant(room: Room) -> Grant:
    room.register()
    return room.login()


def refresh(room: Room, grant: Grant) -> Grant:
    return room.sessions.refresh(grant.refresh_token, STRANGER)


def is_live(room: Room) -> bool:
    (session,) = room.store.sessions.values()
    return session.is_live(room.clock(), room.store.users[session.user_id])


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


def test_a_thief_who_keeps_rotating_does_not_outlast_the_owners_token(room: Room, grant: Grant) -> None:
    stolen = refresh(room, grant)
    for _ in range(3):
        room.clock.advance(seconds=5)
        stolen = refresh(room, stolen)
    refused("invalid_refresh_token", refresh, room, grant)
    refused("invalid_refresh_token", refresh, room, stolen)


def test_a_slow_tab_is_forgiven_though_the_other_has_rotated_twice(room: Room, grant: Grant) -> None:
    following = refresh(room, refresh(room, grant))
    room.clock.advance(seconds=10)
    refused("invalid_refresh_token", refresh, room, grant)
    refresh(room, following)


def test_a_session_remembers_no_used_token_past_its_grace(room: Room, grant: Grant) -> None:
    following = refresh(room, grant)
    room.clock.advance(seconds=11)
    refresh(room, following)
    (session,) = room.store.sessions.values()
    assert list(session.used.values()) == ["2026-11-21T09:30:11.000Z"]


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
        live = [session.id for session in room.sessions.page(grant.user.id, 25, None).items]
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

    def test_says_until_when(self, room: Room, grant: Grant) -> None:
        assert room.sessions.authorize(grant.access_token).expires_at == "2026-11-21T09:45:00.000Z"

    def test_refuses_where_the_user_is_gone(self, room: Room, grant: Grant) -> None:
        room.store.users.clear()
        refused("unauthenticated", room.sessions.authorize, grant.access_token)


def become(room: Room, grant: Grant, **changes: Any) -> None:
    user = room.store.users[grant.user.id]
    room.store.users[user.id] = user.revised(room.clock(), **changes)


class TestGenerations:
    def test_raising_it_ends_every_session_at_once(self, room: Room, grant: Grant) -> None:
        other = room.login()
        become(room, grant, generation=1)
        for each in (grant, other):
            refused("unauthenticated", room.sessions.authorize, each.access_token)
            refused("invalid_refresh_token", refresh, room, each)
        assert room.sessions.page(grant.user.id, 25, None).items == []

    def test_a_session_opened_afterwards_lives(self, room: Room, grant: Grant) -> None:
        become(room, grant, generation=1)
        fresh = room.login()
        assert room.sessions.authorize(refresh(room, fresh).access_token).user_id == grant.user.id

    def test_a_session_of_a_suspended_user_is_dead_and_stays_so(self, room: Room, grant: Grant) -> None:
        become(room, grant, status="suspended", generation=1)
        refused("unauthenticated", room.sessions.authorize, grant.access_token)
        become(room, grant, status="active")
        refused("unauthenticated", room.sessions.authorize, grant.access_token)

    def test_suspension_alone_is_enough(self, room: Room, grant: Grant) -> None:
        become(room, grant, status="suspended")
        refused("unauthenticated", room.sessions.authorize, grant.access_token)

    @pytest.mark.parametrize("change", [{"generation": 1}, {"status": "suspended"}])
    @pytest.mark.parametrize("moment", ["compare", "open_session"])
    def test_a_login_at_the_same_moment_leaves_no_session(
        self, room: Room, grant: Grant, change: dict[str, Any], moment: str
    ) -> None:
        def happen() -> None:
            become(room, grant, **change)

        room.passwords.meanwhile = happen if moment == "compare" else lambda: None
        room.store.before("open_session", *([happen] if moment == "open_session" else []))
        refused("invalid_credentials", room.login)
        assert len(room.store.sessions) == 1

    def test_a_refresh_at_the_same_moment_leaves_no_live_session(self, room: Room, grant: Grant) -> None:
        room.store.before("rotate", lambda: become(room, grant, generation=1))
        late = refresh(room, grant)
        refused("unauthenticated", room.sessions.authorize, late.access_token)
        refused("invalid_refresh_token", refresh, room, late)

    def test_a_login_of_one_who_is_gone_by_now_is_refused(self, room: Room, grant: Grant) -> None:
        room.passwords.meanwhile = room.store.users.clear
        refused("invalid_credentials", room.login)

    def test_a_login_answers_the_user_as_they_are_when_it_opens(self, room: Room, grant: Grant) -> None:
        room.passwords.meanwhile = lambda: become(room, grant, email_verified=True)
        assert room.login().user.email_verified


class TestDevices:
    def login(self, room: Room, agent: str | None = "tests", ip: str | None = "203.0.113.7") -> dict[str, Any]:
        room.logins.login(EMAIL, PASSWORD, Actor(ip=ip, user_agent=agent))
        return dict(room.store.events[-1].data)

    def test_the_first_login_ever_is_from_no_new_device(self, room: Room) -> None:
        room.register()
        assert self.login(room)["new_device"] is False

    @pytest.mark.parametrize(
        ("agent", "ip", "new"),
        [
            ("tests", "203.0.113.7", False),
            ("tests", "203.0.113.250", False),
            ("tests", "203.0.114.7", True),
            ("other", "203.0.113.7", True),
            ("tests", "2001:db8:1::1", True),
            ("tests", "", True),
            (None, None, True),
        ],
    )
    def test_agent_and_network_make_a_device(
        self, room: Room, grant: Grant, agent: str | None, ip: str | None, new: bool
    ) -> None:
        assert self.login(room, agent, ip) == {"user_id": grant.user.id, "new_device": new, "device": agent or ""}
        assert self.login(room, agent, ip)["new_device"] is False

    def test_of_ipv6_the_network_is_48_bits(self, room: Room, grant: Grant) -> None:
        assert self.login(room, ip="2001:db8:1:2::1")["new_device"]
        assert not self.login(room, ip="2001:db8:1:ffff::9")["new_device"]
        assert self.login(room, ip="2001:db8:2:2::1")["new_device"]

    def test_a_device_is_forgotten_ninety_days_after_its_last_login(self, room: Room, grant: Grant) -> None:
        room.clock.advance(days=89)
        assert not self.login(room)["new_device"]
        room.clock.advance(days=89, hours=23)
        assert not self.login(room)["new_device"]
        room.clock.advance(days=90)
        assert self.login(room)["new_device"]

    def test_a_device_is_one_users(self, room: Room, grant: Grant) -> None:
        room.register("grace@example.com")
        room.login(email="grace@example.com")
        assert self.login(room, "other")["new_device"]
        room.logins.login("grace@example.com", PASSWORD, replace(STRANGER, user_agent="other"))
        assert room.store.events[-1].data["new_device"]

    def test_of_two_first_logins_at_once_one_is_new(self, room: Room) -> None:
        room.register()
        room.store.before("open_session", lambda: self.login(room, "other"))
        assert self.login(room)["new_device"] is True

    def test_what_is_kept_tells_neither_agent_nor_address(self, room: Room, grant: Grant) -> None:
        ((user_id, digest),) = room.store.devices
        assert user_id == grant.user.id
        assert re.fullmatch("[0-9a-f]{64}", digest)


class TestList:
    def test_newest_first_page_by_page(self, room: Room, grant: Grant) -> None:
        ids = [session_id(grant)]
        for _ in range(4):
            room.clock.advance(seconds=1)
            ids.insert(0, session_id(room.login()))
        seen: list[str] = []
        position = None
        for size in (2, 2, 1):
            page = room.sessions.page(grant.user.id, 2, position)
            assert len(page.items) == size
            seen += [session.id for session in page.items]
            position = page.next_position
        assert position is None
        assert seen == ids

    def test_the_live_ones_of_the_user_alone(self, room: Room, grant: Grant) -> None:
        room.register("grace@example.com")
        room.login(email="grace@example.com")
        room.sessions.logout([room.login().refresh_token], None)
        assert [session.id for session in room.sessions.page(grant.user.id, 25, None).items] == [session_id(grant)]
        room.clock.advance(days=30)
        assert room.sessions.page(grant.user.id, 25, None).items == []

    def test_tells_when_it_was_last_carried_on(self, room: Room, grant: Grant) -> None:
        room.clock.advance(minutes=10)
        refresh(room, grant)
        (session,) = room.sessions.page(grant.user.id, 25, None).items
        assert (session.created_at, session.rotated_at) == ("2026-11-21T09:30:00.000Z", "2026-11-21T09:40:00.000Z")

    def test_of_one_who_is_gone_is_refused(self, room: Room) -> None:
        refused("unauthenticated", room.sessions.page, "usr_01K0000000000000000000000A", 25, None)


class TestEnd:
    def test_ends_one_of_ones_own_and_again(self, room: Room, grant: Grant) -> None:
        other = room.login()
        for _ in range(2):
            room.sessions.end(grant.user.id, session_id(grant))
        refused("unauthenticated", room.sessions.authorize, grant.access_token)
        room.sessions.authorize(other.access_token)

    def test_somebody_elses_is_not_there(self, room: Room, grant: Grant) -> None:
        grace = room.register("grace@example.com")
        refused("not_found", room.sessions.end, grace.id, session_id(grant))
        room.sessions.authorize(grant.access_token)


def session_id(grant: Grant) -> str:
    return grant.refresh_token.split(".")[1]
