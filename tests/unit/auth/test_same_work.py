"""Whether an address is known shows neither in the store's calls nor in the hashing of public requests.

Compared are the calls with the kind of each item, because response times are too noisy to test.
"""

from collections.abc import Callable
from typing import Any

import pytest
from common.errors import Refusal
from common.keys import Keyring

from tests.support.memory_table import Call
from tests.unit.auth.world import ANONYMOUS, EMAIL, World

UNKNOWN = "nobody@example.com"
NEW = "difference engine"
WRONG = "999999"


class Work:
    """The calls to the table and the digests that a request takes."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self._world = world
        hook = world.table.hook
        digests, digest = Keyring.digests, world.hasher.digest

        def record(call: Call) -> None:
            if call.moment == "before":
                self.done.append((call.operation, *(key[1].split("#")[0] for key in call.keys)))
            if hook:
                hook(call)

        def keyed(keyring: Keyring, value: str) -> tuple[str, ...]:
            self.done.append("keyed digest")
            return digests(keyring, value)

        def slow(password: str) -> str:
            self.done.append("password hash")
            return digest(password)

        world.table.hook = record
        monkeypatch.setattr(Keyring, "digests", keyed)
        monkeypatch.setattr(world.hasher, "digest", slow)

    def of(self, run: Callable[[], Any]) -> list[Any]:
        """Return the work of a request, without that of waiting for the next minute."""
        self._world.clock.advance(minutes=1)
        self.done.clear()
        try:
            run()
        except Refusal as refusal:
            assert refusal.code in ("invalid_code", "email_taken", "invalid_credentials", "code_expired"), refusal.code
        assert self.done
        return list(self.done)


@pytest.fixture
def work(world: World, monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(world, monkeypatch)


def register(world: World, email: str) -> None:
    world.register(email)


def login(world: World, email: str) -> None:
    world.login("wrong words", email)


def verify(world: World, email: str) -> None:
    world.verify(WRONG, email)


def resend(world: World, email: str) -> None:
    world.registration.resend_code(ANONYMOUS, email)


def forgot(world: World, email: str) -> None:
    world.passwords.forgot(ANONYMOUS, email)


def reset(world: World, email: str) -> None:
    world.passwords.reset(ANONYMOUS, email, WRONG, NEW)


def unverified(world: World) -> None:
    world.code(world.register())


def verified(world: World) -> None:
    world.verified()


def asked(world: World) -> None:
    """Verified, with an open challenge of a reset."""
    user = world.verified()
    forgot(world, EMAIL)
    world.code(user, "reset_password")


def mailed_late(world: World) -> None:
    """Verified, with an open challenge of a reset whose mail is not written yet."""
    world.verified()
    forgot(world, EMAIL)


def exhausted(world: World) -> None:
    """Verified, with ten wrong codes today."""
    user = world.verified()
    for _ in range(2):
        world.clock.advance(minutes=1)
        forgot(world, EMAIL)
        world.code(user, "reset_password")
        for _ in range(5):
            with pytest.raises(Refusal):
                reset(world, EMAIL)


def guessed(world: World) -> None:
    """Unverified, with all tries used up."""
    world.code(world.register())
    for _ in range(5):
        with pytest.raises(Refusal):
            verify(world, EMAIL)


STATES = [unverified, verified, asked, mailed_late, exhausted, guessed]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("request_", [register, login, verify, resend, forgot, reset])
def test_a_known_address_takes_the_work_of_an_unknown_one(
    world: World, work: Work, state: Callable[[World], None], request_: Callable[[World, str], None]
) -> None:
    state(world)
    known = work.of(lambda: request_(world, EMAIL))
    unknown = work.of(lambda: request_(world, UNKNOWN))
    assert known == unknown


@pytest.mark.parametrize("known", [True, False])
def test_a_login_challenge_that_is_unknown_takes_the_work_of_a_known_one(world: World, work: Work, known: bool) -> None:
    user = world.verified()
    world.profile.change(ANONYMOUS, user.id, second_factor="email")
    challenge = world.begin().challenge_id
    expected = work.of(lambda: world.codes.resend_login_code(challenge, ANONYMOUS))
    other = "chl_unknown"
    if known:
        world.finish(world.begin(), world.code(user, "login"))
        other = challenge
    assert work.of(lambda: world.codes.resend_login_code(other, ANONYMOUS)) == expected


def test_a_weak_password_takes_no_work(world: World, work: Work) -> None:
    world.register()
    work.done.clear()
    for email in (EMAIL, UNKNOWN):
        for run in (
            lambda email=email: world.register(email, "password1"),
            lambda email=email: world.passwords.reset(ANONYMOUS, email, WRONG, "password1"),
        ):
            with pytest.raises(Refusal) as raised:
                run()
            assert raised.value.code == "weak_password"
    assert work.done == []
