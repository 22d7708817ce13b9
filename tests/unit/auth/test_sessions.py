import re
from dataclasses import replace
from typing import Any

import pytest
from common.contracts.events import Actor

from functions.auth.domain.sessions import GrantedTokens, RefreshToken
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, refused


@pytest.fixture
def granted(world: World) -> GrantedTokens:
    world.register()
    return world.login()


def refresh(world: World, granted: GrantedTokens) -> GrantedTokens:
    return world.sessions.refresh(granted.refresh_token, ANONYMOUS)


def is_live(world: World) -> bool:
    (session,) = world.stored.sessions.values()
    return session.is_live(world.clock(), world.stored.users[session.user_id])


def test_a_refresh_rotates_the_token_and_returns_the_current_user(world: World, granted: GrantedTokens) -> None:
    world.verify(world.code(granted.user))
    world.clock.advance(minutes=10)
    following = refresh(world, granted)
    assert following.refresh_token != granted.refresh_token
    before, after = world.tokens.verify(granted.access_token), world.tokens.verify(following.access_token)
    assert (before.session_id, before.email_verified) == (after.session_id, False)
    assert after.email_verified
    assert following.user.email_verified
    assert refresh(world, following).refresh_token not in (granted.refresh_token, following.refresh_token)


def test_a_refresh_records_time_and_address(world: World, granted: GrantedTokens) -> None:
    world.clock.advance(minutes=10)
    world.sessions.refresh(granted.refresh_token, replace(ANONYMOUS, ip="203.0.113.8"))
    (session,) = world.stored.sessions.values()
    assert (session.rotated_at, session.ip) == ("2026-11-21T09:40:00.000Z", "203.0.113.8")
    assert session.created_at == "2026-11-21T09:30:00.000Z"


def test_a_token_used_again_within_ten_seconds_is_refused_without_ending_the_session(
    world: World, granted: GrantedTokens
) -> None:
    following = refresh(world, granted)
    world.clock.advance(seconds=10)
    refused("invalid_refresh_token", refresh, world, granted)
    refresh(world, following)


def test_a_token_used_again_later_ends_the_session(world: World, granted: GrantedTokens) -> None:
    following = refresh(world, granted)
    world.clock.advance(seconds=10, milliseconds=1)
    refused("invalid_refresh_token", refresh, world, granted)
    refused("invalid_refresh_token", refresh, world, following)
    refused("unauthenticated", world.sessions.authorize, following.access_token)


def test_a_token_of_many_rotations_ago_ends_the_session_too(world: World, granted: GrantedTokens) -> None:
    following = refresh(world, refresh(world, refresh(world, granted)))
    world.clock.advance(seconds=11)
    refused("invalid_refresh_token", refresh, world, granted)
    refused("invalid_refresh_token", refresh, world, following)


def test_a_thief_who_keeps_rotating_loses_the_session_when_the_owner_refreshes(
    world: World, granted: GrantedTokens
) -> None:
    stolen = refresh(world, granted)
    for _ in range(3):
        world.clock.advance(seconds=5)
        stolen = refresh(world, stolen)
    refused("invalid_refresh_token", refresh, world, granted)
    refused("invalid_refresh_token", refresh, world, stolen)


def test_a_slow_tab_is_tolerated_after_two_rotations(world: World, granted: GrantedTokens) -> None:
    following = refresh(world, refresh(world, granted))
    world.clock.advance(seconds=10)
    refused("invalid_refresh_token", refresh, world, granted)
    refresh(world, following)


def test_a_session_forgets_used_tokens_after_the_grace_period(world: World, granted: GrantedTokens) -> None:
    following = refresh(world, granted)
    world.clock.advance(seconds=11)
    refresh(world, following)
    (session,) = world.stored.sessions.values()
    assert list(session.used.values()) == ["2026-11-21T09:30:11.000Z"]


def test_two_parallel_refreshes_give_one_token(world: World, granted: GrantedTokens) -> None:
    won: list[GrantedTokens] = []
    world.before_write("session", lambda: won.append(refresh(world, granted)))
    refused("invalid_refresh_token", refresh, world, granted)
    refresh(world, won[0])


def test_a_session_that_ends_meanwhile_gives_no_token(world: World, granted: GrantedTokens) -> None:
    world.before_write("session", lambda: world.sessions.logout([granted.refresh_token], None))
    refused("invalid_refresh_token", refresh, world, granted)
    assert not is_live(world)


def test_a_refresh_token_expires_thirty_days_after_its_rotation(world: World, granted: GrantedTokens) -> None:
    world.clock.advance(days=29)
    following = refresh(world, granted)
    world.clock.advance(days=29, hours=23)
    following = refresh(world, following)
    world.clock.advance(days=30)
    refused("invalid_refresh_token", refresh, world, following)


def test_a_session_ends_ninety_days_after_its_login_however_often_it_is_refreshed(
    world: World, granted: GrantedTokens
) -> None:
    for _ in range(89):
        world.clock.advance(days=1)
        granted = refresh(world, granted)
    world.clock.advance(hours=23, minutes=59, seconds=59)
    granted = refresh(world, granted)
    world.sessions.authorize(granted.access_token)
    world.clock.advance(seconds=1)
    refused("unauthenticated", world.sessions.authorize, granted.access_token)
    refused("invalid_refresh_token", refresh, world, granted)


def test_a_refresh_keeps_when_the_user_logged_in(world: World, granted: GrantedTokens) -> None:
    logged_in = int(world.clock().timestamp())
    assert world.sessions.authorize(granted.access_token).auth_time == logged_in
    world.clock.advance(days=1)
    following = refresh(world, granted)
    assert world.sessions.authorize(following.access_token).auth_time == logged_in
    assert world.sessions.authorize(world.login().access_token).auth_time == logged_in + 86400


def test_the_ids_alone_can_neither_refresh_nor_end_a_session(world: World, granted: GrantedTokens) -> None:
    user_id, session_id, _, secret = granted.refresh_token.split(".")
    forged = f"{user_id}.{session_id}.{'A' * 43}.{secret}"
    world.clock.advance(minutes=1)
    refused("invalid_refresh_token", world.sessions.refresh, forged, ANONYMOUS)
    world.sessions.logout([forged], None)
    assert is_live(world)


@pytest.mark.parametrize("text", ["", "...", "a.b.c.d", "é" * 40])
def test_a_malformed_token_is_refused(world: World, granted: GrantedTokens, text: str) -> None:
    refused("invalid_refresh_token", world.sessions.refresh, text, ANONYMOUS)
    refused("invalid_refresh_token", world.sessions.refresh, granted.refresh_token + text + ".", ANONYMOUS)


def test_a_token_of_an_unknown_session_or_user_is_refused(world: World, granted: GrantedTokens) -> None:
    token = RefreshToken.parse(granted.refresh_token)
    assert token is not None
    other = replace(token, session_id="ses_01K0000000000000000000000A")
    refused("invalid_refresh_token", world.sessions.refresh, other.text, ANONYMOUS)
    world.sessions.logout([other.text], None)
    assert is_live(world)
    world.remove("user")
    refused("invalid_refresh_token", refresh, world, granted)


def test_a_suspended_user_gets_no_token(world: World, granted: GrantedTokens) -> None:
    world.put_user(replace(granted.user, status="suspended"))
    refused("invalid_refresh_token", refresh, world, granted)


class TestLogout:
    def test_ends_the_session_of_either_token_and_can_be_repeated(self, world: World, granted: GrantedTokens) -> None:
        world.sessions.logout([], granted.access_token)
        assert not is_live(world)
        (ended,) = world.stored.sessions.values()
        world.clock.advance(seconds=1)
        world.sessions.logout([], granted.access_token)
        world.sessions.logout([granted.refresh_token], None)
        assert list(world.stored.sessions.values()) == [ended]

    def test_ends_the_session_of_every_token(self, world: World, granted: GrantedTokens) -> None:
        others = [world.login() for _ in range(3)]
        world.sessions.logout([others[0].refresh_token, others[1].refresh_token], granted.access_token)
        live = [session.id for session in world.sessions.page(granted.user.id, 25, None).items]
        assert live == [others[2].refresh_token.split(".")[1]]

    def test_accepts_a_refresh_token_that_was_rotated(self, world: World, granted: GrantedTokens) -> None:
        refresh(world, granted)
        world.sessions.logout([granted.refresh_token], None)
        assert not is_live(world)

    def test_needs_a_token(self, world: World, granted: GrantedTokens) -> None:
        refused("unauthenticated", world.sessions.logout, [], None)
        refused("unauthenticated", world.sessions.logout, [], granted.access_token + "x")
        assert is_live(world)

    def test_succeeds_for_an_unknown_refresh_token(self, world: World, granted: GrantedTokens) -> None:
        world.sessions.logout(["gone"], "a bad access token")
        assert is_live(world)


class TestAuthorize:
    def test_returns_the_caller(self, world: World, granted: GrantedTokens) -> None:
        claims = world.sessions.authorize(granted.access_token)
        assert (claims.user_id, claims.role, claims.email_verified) == (granted.user.id, "customer", False)
        assert claims.scopes == ("read", "write", "payments")

    @pytest.mark.parametrize("factor", ["email", "totp"])
    def test_a_factor_that_was_turned_on_since_is_not_proved_by_the_session(
        self, world: World, granted: GrantedTokens, factor: Any
    ) -> None:
        world.put_user(replace(granted.user, second_factor=factor))
        assert not world.sessions.authorize(granted.access_token).has_second_factor

    def test_a_login_with_a_factor_proves_it_as_long_as_the_user_has_it(
        self, world: World, granted: GrantedTokens
    ) -> None:
        user = world.put_user(replace(granted.user, second_factor="email", email_verified=True))
        proved = world.finish(world.begin(), world.code(user, "login"))
        assert world.sessions.authorize(proved.access_token).has_second_factor
        world.put_user(replace(user, second_factor="none"))
        assert not world.sessions.authorize(proved.access_token).has_second_factor

    def test_refuses_if_the_session_has_ended_or_is_gone(self, world: World, granted: GrantedTokens) -> None:
        world.sessions.logout([], granted.access_token)
        refused("unauthenticated", world.sessions.authorize, granted.access_token)
        world.remove("session")
        refused("unauthenticated", world.sessions.authorize, granted.access_token)

    def test_refuses_a_bad_token(self, world: World, granted: GrantedTokens) -> None:
        refused("unauthenticated", world.sessions.authorize, granted.refresh_token)

    def test_returns_the_expiry(self, world: World, granted: GrantedTokens) -> None:
        assert world.sessions.authorize(granted.access_token).expires_at == "2026-11-21T09:45:00.000Z"

    def test_refuses_if_the_user_was_deleted(self, world: World, granted: GrantedTokens) -> None:
        world.remove("user")
        refused("unauthenticated", world.sessions.authorize, granted.access_token)


def become(world: World, granted: GrantedTokens, **changes: Any) -> None:
    user = world.stored.users[granted.user.id]
    world.put_user(user.revised(world.clock(), **changes))


class TestGenerations:
    def test_a_new_generation_ends_every_session(self, world: World, granted: GrantedTokens) -> None:
        other = world.login()
        become(world, granted, generation=1)
        for each in (granted, other):
            refused("unauthenticated", world.sessions.authorize, each.access_token)
            refused("invalid_refresh_token", refresh, world, each)
        assert world.sessions.page(granted.user.id, 25, None).items == []

    def test_a_session_of_the_new_generation_works(self, world: World, granted: GrantedTokens) -> None:
        become(world, granted, generation=1)
        fresh = world.login()
        assert world.sessions.authorize(refresh(world, fresh).access_token).user_id == granted.user.id

    def test_a_suspension_ends_sessions_for_good(self, world: World, granted: GrantedTokens) -> None:
        become(world, granted, status="suspended", generation=1)
        refused("unauthenticated", world.sessions.authorize, granted.access_token)
        become(world, granted, status="active")
        refused("unauthenticated", world.sessions.authorize, granted.access_token)

    def test_the_status_alone_ends_sessions(self, world: World, granted: GrantedTokens) -> None:
        become(world, granted, status="suspended")
        refused("unauthenticated", world.sessions.authorize, granted.access_token)

    @pytest.mark.parametrize("change", [{"generation": 1}, {"status": "suspended"}])
    @pytest.mark.parametrize("moment", ["compare", "open_session"])
    def test_a_parallel_login_leaves_no_session(
        self, world: World, granted: GrantedTokens, change: dict[str, Any], moment: str
    ) -> None:
        def happen() -> None:
            become(world, granted, **change)

        if moment == "compare":
            world.hasher.meanwhile = happen
        else:
            world.before_write("session", happen)
        refused("invalid_credentials", world.login)
        assert len(world.stored.sessions) == 1

    def test_a_parallel_refresh_leaves_no_live_session(self, world: World, granted: GrantedTokens) -> None:
        world.before_write("session", lambda: become(world, granted, generation=1))
        late = refresh(world, granted)
        refused("unauthenticated", world.sessions.authorize, late.access_token)
        refused("invalid_refresh_token", refresh, world, late)

    def test_a_login_of_a_user_who_is_deleted_meanwhile_is_refused(self, world: World, granted: GrantedTokens) -> None:
        world.hasher.meanwhile = lambda: world.remove("user")
        refused("invalid_credentials", world.login)

    def test_a_login_returns_the_user_as_they_are_when_the_session_opens(
        self, world: World, granted: GrantedTokens
    ) -> None:
        world.hasher.meanwhile = lambda: become(world, granted, email_verified=True)
        assert world.login().user.email_verified


class TestDevices:
    def login(self, world: World, agent: str | None = "tests", ip: str | None = "203.0.113.7") -> dict[str, Any]:
        world.logins.login(EMAIL, PASSWORD, Actor(ip=ip, user_agent=agent))
        return dict(world.stored.events[-1].data)

    def test_the_very_first_login_is_not_from_a_new_device(self, world: World) -> None:
        world.register()
        assert self.login(world)["new_device"] is False

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
        self, world: World, granted: GrantedTokens, agent: str | None, ip: str | None, new: bool
    ) -> None:
        assert self.login(world, agent, ip) == {"user_id": granted.user.id, "new_device": new, "device": agent or ""}
        assert self.login(world, agent, ip)["new_device"] is False

    def test_the_network_of_an_ipv6_address_has_48_bits(self, world: World, granted: GrantedTokens) -> None:
        assert self.login(world, ip="2001:db8:1:2::1")["new_device"]
        assert not self.login(world, ip="2001:db8:1:ffff::9")["new_device"]
        assert self.login(world, ip="2001:db8:2:2::1")["new_device"]

    def test_a_device_is_forgotten_ninety_days_after_its_last_login(self, world: World, granted: GrantedTokens) -> None:
        world.clock.advance(days=89)
        assert not self.login(world)["new_device"]
        world.clock.advance(days=89, hours=23)
        assert not self.login(world)["new_device"]
        world.clock.advance(days=90)
        assert self.login(world)["new_device"]

    def test_a_device_belongs_to_one_user(self, world: World, granted: GrantedTokens) -> None:
        world.register("grace@example.com")
        world.login(email="grace@example.com")
        assert self.login(world, "other")["new_device"]
        world.logins.login("grace@example.com", PASSWORD, replace(ANONYMOUS, user_agent="other"))
        assert world.stored.events[-1].data["new_device"]

    def test_of_two_parallel_first_logins_one_is_from_a_new_device(self, world: World) -> None:
        world.register()
        world.before_write("session", lambda: self.login(world, "other"))
        assert self.login(world)["new_device"] is True

    def test_neither_user_agent_nor_address_is_stored(self, world: World, granted: GrantedTokens) -> None:
        (device,) = world.stored.devices
        assert device.user_id == granted.user.id
        assert re.fullmatch("[0-9a-f]{64}", device.digest)
        (item,) = (item for item in world.stored.items("device") if "digest" in item)
        assert set(item) == {"pk", "sk", "user_id", "digest", "expires_at", "generation"}


class TestList:
    def test_newest_first_page_by_page(self, world: World, granted: GrantedTokens) -> None:
        ids = [session_id(granted)]
        for _ in range(4):
            world.clock.advance(seconds=1)
            ids.insert(0, session_id(world.login()))
        seen: list[str] = []
        position = None
        for size in (2, 2, 1):
            page = world.sessions.page(granted.user.id, 2, position)
            assert len(page.items) == size
            seen += [session.id for session in page.items]
            position = page.next_position
        assert position is None
        assert seen == ids

    def test_only_live_sessions_of_the_user(self, world: World, granted: GrantedTokens) -> None:
        world.register("grace@example.com")
        world.login(email="grace@example.com")
        world.sessions.logout([world.login().refresh_token], None)
        assert [session.id for session in world.sessions.page(granted.user.id, 25, None).items] == [session_id(granted)]
        world.clock.advance(days=30)
        assert world.sessions.page(granted.user.id, 25, None).items == []

    def test_shows_when_a_session_was_last_refreshed(self, world: World, granted: GrantedTokens) -> None:
        world.clock.advance(minutes=10)
        refresh(world, granted)
        (session,) = world.sessions.page(granted.user.id, 25, None).items
        assert (session.created_at, session.rotated_at) == ("2026-11-21T09:30:00.000Z", "2026-11-21T09:40:00.000Z")

    def test_a_deleted_user_is_refused(self, world: World) -> None:
        refused("unauthenticated", world.sessions.page, "usr_01K0000000000000000000000A", 25, None)


class TestEnd:
    def test_ends_an_own_session_and_can_be_repeated(self, world: World, granted: GrantedTokens) -> None:
        other = world.login()
        for _ in range(2):
            world.sessions.end(granted.user.id, session_id(granted))
        refused("unauthenticated", world.sessions.authorize, granted.access_token)
        world.sessions.authorize(other.access_token)

    def test_a_session_of_another_user_is_not_found(self, world: World, granted: GrantedTokens) -> None:
        grace = world.register("grace@example.com")
        refused("not_found", world.sessions.end, grace.id, session_id(granted))
        world.sessions.authorize(granted.access_token)


def session_id(granted: GrantedTokens) -> str:
    return granted.refresh_token.split(".")[1]
