from dataclasses import replace
from typing import Literal

import pytest
from common.contracts.auth import MintCode
from common.contracts.events import Actor
from common.errors import Contended

from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.throttle import address_key
from functions.auth.domain.users import User
from tests.unit.auth.world import ANONYMOUS, EMAIL, PASSWORD, World, conflict, refused, repeat

NEW = "difference engine"
WRONG = "999999"


@pytest.fixture
def ada(world: World) -> User:
    return world.verified()


def session_of(world: World, granted: GrantedTokens) -> str:
    return world.tokens.verify(granted.access_token).session_id


class TestChange:
    def change(self, world: World, granted: GrantedTokens, current: str = PASSWORD, new: str = NEW) -> None:
        actor = replace(ANONYMOUS, user_id=granted.user.id, session_id=session_of(world, granted))
        world.passwords.change(actor, granted.user.id, session_of(world, granted), current, new)

    def test_the_new_password_works_and_the_old_one_does_not(self, world: World, ada: User) -> None:
        self.change(world, world.login())
        refused("invalid_credentials", world.login, PASSWORD)
        world.login(NEW)

    def test_it_publishes_an_event(self, world: World, ada: User) -> None:
        granted = world.login()
        self.change(world, granted)
        event = world.stored.events[-1]
        assert (event.type, event.subject) == ("user.password_changed", ada.id)
        assert event.sequence == ada.sequence + 1
        assert (event.actor.ip, event.actor.session_id) == (ANONYMOUS.ip, session_of(world, granted))
        assert "engine" not in str(event)

    def test_it_ends_every_other_session(self, world: World, ada: User) -> None:
        mine, other = world.login(), world.login()
        self.change(world, mine)
        world.sessions.authorize(mine.access_token)
        world.sessions.refresh(mine.refresh_token, ANONYMOUS)
        refused("unauthenticated", world.sessions.authorize, other.access_token)
        refused("invalid_refresh_token", world.sessions.refresh, other.refresh_token, ANONYMOUS)

    def test_a_wrong_current_password_counts_as_a_failed_login(self, world: World, ada: User) -> None:
        granted = world.login()
        for _ in range(5):
            # Failures of one millisecond have the same event id.
            world.clock.advance(milliseconds=1)
            refused("invalid_credentials", self.change, world, granted, "wrong words")
        assert world.stored.event_types().count("user.login_failed") == 5
        refused("rate_limited", self.change, world, granted)
        refused("rate_limited", world.login)
        world.clock.advance(seconds=30)
        self.change(world, granted)

    def test_a_correct_password_after_five_parallel_failures_waits(self, world: World, ada: User) -> None:
        granted = world.login()
        world.before_write(
            "user",
            repeat(5, "invalid_credentials", self.change, world, granted, "wrong words"),
        )
        refused("rate_limited", self.change, world, granted)
        assert world.stored.users[ada.id] == ada

    def test_a_weak_new_password_does_not_reveal_a_correct_guess_that_must_wait(self, world: World, ada: User) -> None:
        granted = world.login()

        def others() -> None:
            world.hasher.meanwhile = lambda: None
            for _ in range(5):
                refused("invalid_credentials", self.change, world, granted, "wrong words")

        world.hasher.meanwhile = others
        refused("rate_limited", self.change, world, granted, PASSWORD, "short")

    @pytest.mark.parametrize("new", ["short", "password1", "Lovelace-1815", EMAIL, "Remit 2026"])
    def test_the_new_password_must_be_strong(self, world: World, ada: User, new: str) -> None:
        refused("weak_password", self.change, world, world.login(), PASSWORD, new)
        assert world.stored.users[ada.id] == ada

    def test_a_parallel_password_change_wins(self, world: World, ada: User) -> None:
        granted, other = world.login(), world.login()
        world.before_write("user", lambda: self.change(world, other, new="some other words"))
        refused("invalid_credentials", self.change, world, granted)
        world.login("some other words")

    def test_a_parallel_change_of_the_user_is_kept(self, world: World, ada: User) -> None:
        granted = world.login()
        renamed = replace(ada, first_name="Augusta", sequence=ada.sequence + 1)
        world.before_write("user", lambda: world.put_user(renamed))
        self.change(world, granted)
        assert world.stored.users[ada.id].first_name == "Augusta"

    def test_a_session_that_ends_meanwhile_changes_nothing(self, world: World, ada: User) -> None:
        granted = world.login()
        world.before_write("user", lambda: world.sessions.logout([granted.refresh_token], None))
        refused("unauthenticated", self.change, world, granted)
        refused("unauthenticated", world.passwords.change, ANONYMOUS, ada.id, "ses_x", PASSWORD, NEW)
        world.login()

    def test_a_deleted_user_changes_nothing(self, world: World, ada: User) -> None:
        granted = world.login()
        world.remove("user")
        refused("unauthenticated", self.change, world, granted)


class TestReset:
    def forgot(self, world: World, email: str = EMAIL) -> None:
        world.passwords.forgot(ANONYMOUS, email)

    def reset(self, world: World, code: str, new: str = NEW, email: str = EMAIL) -> None:
        world.passwords.reset(ANONYMOUS, email, code, new)

    def test_a_mailed_code_sets_a_new_password(self, world: World, ada: User) -> None:
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        refused("invalid_credentials", world.login, PASSWORD)
        world.login(NEW)

    def test_request_and_reset_publish_events(self, world: World, ada: User) -> None:
        self.forgot(world)
        asked = world.stored.events[-1]
        assert (asked.type, asked.data["purpose"], asked.actor) == ("code.requested", "reset_password", ANONYMOUS)
        self.reset(world, world.code(ada, "reset_password"))
        changed = world.stored.events[-1]
        assert (changed.type, changed.subject, changed.actor) == ("user.password_changed", ada.id, ANONYMOUS)

    def test_it_ends_every_session(self, world: World, ada: User) -> None:
        grants = [world.login(), world.login()]
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        for granted in grants:
            refused("unauthenticated", world.sessions.authorize, granted.access_token)
            refused("invalid_refresh_token", world.sessions.refresh, granted.refresh_token, ANONYMOUS)

    def test_a_code_is_accepted_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        self.reset(world, code)
        refused("invalid_code", self.reset, world, code, "some other words")
        world.login(NEW)

    def test_two_parallel_resets_with_one_code_reset_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        world.before_write("user", lambda: self.reset(world, code, "some other words"))
        refused("invalid_code", self.reset, world, code)
        world.login("some other words")

    def test_retries_hash_the_password_once(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        world.before_write("user", conflict, conflict)
        self.reset(world, code)
        world.login(NEW)

    @pytest.mark.parametrize("known", [True, False])
    def test_forgot_always_looks_the_same_and_mails_once_a_minute(self, world: World, known: bool) -> None:
        if known:
            world.register()
        before = len(world.stored.events)
        for _ in range(3):
            self.forgot(world)
        assert len(world.stored.events) - before == int(known)
        world.clock.advance(minutes=1)
        self.forgot(world)
        assert len(world.stored.events) - before == 2 * known

    def test_repeated_conflicts_are_a_fault(self, world: World, ada: User) -> None:
        world.before_write("code request", *[conflict] * 16)
        with pytest.raises(Contended):
            self.forgot(world)

    def test_an_unknown_address_and_a_wrong_code_look_the_same(self, world: World, ada: User) -> None:
        self.forgot(world)
        refused("invalid_code", self.reset, world, WRONG)
        refused("invalid_code", self.reset, world, WRONG, NEW, "nobody@example.com")

    @pytest.mark.parametrize("new", ["short", "password1"])
    def test_a_common_password_costs_no_try(self, world: World, ada: User, new: str) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        for _ in range(6):
            refused("weak_password", self.reset, world, WRONG, new)
        self.reset(world, code)

    def test_a_personal_password_is_refused_only_with_a_correct_code(self, world: World, ada: User) -> None:
        self.forgot(world)
        code = world.code(ada, "reset_password")
        refused("invalid_code", self.reset, world, WRONG, "Ada Lovelace")
        for _ in range(6):
            refused("weak_password", self.reset, world, code, "Ada Lovelace")
        self.reset(world, code)

    def test_a_wait_for_failed_logins_does_not_block_it(self, world: World, ada: User) -> None:
        for _ in range(5):
            refused("invalid_credentials", world.login, "wrong words")
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))

    def test_it_revokes_every_api_key_and_says_so(self, world: World, ada: User) -> None:
        texts = [world.api_keys.create(ANONYMOUS, ada.id, str(number), {"payments"}).text for number in range(20)]
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        for text in texts:
            refused("unauthenticated", world.api_keys.authorize, text)
        assert not list(world.stored.items("api key"))
        assert world.stored.events[-1].data["api_keys_revoked"] == 20

    def test_a_key_that_is_created_meanwhile_is_revoked_too(self, world: World, ada: User) -> None:
        texts: list[str] = []
        self.forgot(world)
        code = world.code(ada, "reset_password")
        world.before_write(
            "user", lambda: texts.append(world.api_keys.create(ANONYMOUS, ada.id, "late", {"payments"}).text)
        )
        self.reset(world, code)
        refused("unauthenticated", world.api_keys.authorize, texts[0])

    def test_the_second_factor_stays(self, world: World, ada: User) -> None:
        world.put_user(replace(ada, second_factor="email"))
        self.forgot(world)
        self.reset(world, world.code(ada, "reset_password"))
        assert world.begin(NEW).methods == ("email",)


class TestSquatters:
    """Somebody registered the address before its owner, who resets the password."""

    @pytest.mark.parametrize("factor", ["email", "totp"])
    def test_lose_sessions_keys_and_factors(self, world: World, factor: Literal["email", "totp"]) -> None:
        user = world.register()
        granted = world.login()
        text = world.api_keys.create(ANONYMOUS, user.id, "server", {"payments"}).text
        world.authenticators.enrol(user.id)
        now = world.stored.users[user.id]
        world.put_user(replace(now, second_factor=factor))
        owner = replace(ANONYMOUS, ip="198.51.100.1")
        world.passwords.forgot(owner, EMAIL)
        world.passwords.reset(owner, EMAIL, world.code(user, "reset_password"), NEW)
        refused("unauthenticated", world.sessions.authorize, granted.access_token)
        refused("unauthenticated", world.api_keys.authorize, text)
        assert not world.stored.authenticators
        world.login(NEW)
        world.verify(world.code(user))
        assert world.stored.users[user.id].email_verified


class TestRecovery:
    """Strangers can not keep the owner from a new password."""

    OWNER = ANONYMOUS
    STRANGER = replace(ANONYMOUS, ip="198.51.100.1")

    @pytest.fixture
    def known(self, world: World, ada: User) -> User:
        """Ada, who has logged in from the owner's device."""
        world.login()
        return ada

    def guess(self, world: World, user: User, times: int = 10, actor: Actor = STRANGER) -> None:
        """Request codes and enter wrong ones."""
        for number in range(times):
            if number % 5 == 0:
                world.passwords.forgot(actor, EMAIL)
                world.clock.advance(minutes=1)
            refused("invalid_code", world.passwords.reset, actor, EMAIL, WRONG, NEW)

    def mails(self, world: World) -> int:
        return [event.data.get("purpose") for event in world.stored.events].count("reset_password")

    def code(self, world: World, user: User) -> str:
        """Return a new code of the newest challenge."""
        (newest,) = [event.subject for event in world.stored.events if event.type == "code.requested"][-1:]
        return world.codes.mint(MintCode(newest)).code

    def test_ten_wrong_codes_of_strangers_do_not_block_a_known_device(self, world: World, known: User) -> None:
        self.guess(world, known)
        before = self.mails(world)
        world.passwords.forgot(self.STRANGER, EMAIL)
        assert self.mails(world) == before
        world.passwords.forgot(self.OWNER, EMAIL)
        assert self.mails(world) == before + 1
        world.passwords.reset(self.OWNER, EMAIL, self.code(world, known), NEW)
        world.login(NEW)

    def test_a_device_from_before_a_reset_is_a_stranger(self, world: World, known: User) -> None:
        """Whoever once knew the password must not keep tries of their own after the owner's reset."""
        world.passwords.forgot(self.STRANGER, EMAIL)
        world.passwords.reset(self.STRANGER, EMAIL, self.code(world, known), NEW)
        user = world.stored.users[known.id]
        assert world.credentials.known_device(user, self.OWNER) is None
        world.login(NEW)
        assert world.credentials.known_device(user, self.OWNER) is not None

    def test_a_request_of_a_stranger_does_not_delay_that_of_a_known_device(self, world: World, known: User) -> None:
        world.passwords.forgot(self.STRANGER, EMAIL)
        world.passwords.forgot(self.OWNER, EMAIL)
        assert self.mails(world) == 2

    def test_a_stranger_can_not_use_up_the_tries_of_a_known_device(self, world: World, known: User) -> None:
        world.passwords.forgot(self.OWNER, EMAIL)
        code = self.code(world, known)
        self.guess(world, known)
        refused("invalid_code", world.passwords.reset, self.STRANGER, EMAIL, code, NEW)
        world.passwords.reset(self.OWNER, EMAIL, code, NEW)

    def test_a_known_device_has_ten_wrong_codes_a_day_of_its_own(self, world: World, known: User) -> None:
        self.guess(world, known, actor=self.OWNER)
        before = self.mails(world)
        world.passwords.forgot(self.OWNER, EMAIL)
        assert self.mails(world) == before
        world.passwords.forgot(self.STRANGER, EMAIL)
        world.passwords.reset(self.STRANGER, EMAIL, self.code(world, known), NEW)

    @pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
    def test_wrong_codes_count_by_address_for_known_and_unknown_users(
        self, world: World, ada: User, email: str
    ) -> None:
        for _ in range(100):
            refused("invalid_code", world.passwords.reset, self.STRANGER, email, WRONG, NEW)
        assert refused("rate_limited", world.passwords.reset, self.STRANGER, email, WRONG, NEW).retry_after == 30
        refused("rate_limited", world.logins.login, EMAIL, PASSWORD, self.STRANGER)
        refused("invalid_code", world.passwords.reset, self.OWNER, email, WRONG, NEW)

    def test_an_expired_code_counts_by_address_and_a_correct_one_does_not(self, world: World, ada: User) -> None:
        world.passwords.forgot(self.STRANGER, EMAIL)
        code = self.code(world, ada)
        world.clock.advance(minutes=10)
        refused("code_expired", world.passwords.reset, self.STRANGER, EMAIL, code, NEW)
        world.passwords.reset(self.STRANGER, EMAIL, self.code(world, ada), NEW)
        assert [each.count for each in world.store.login_failures([address_key("198.51.100.1")])] == [1]
