"""The digest of a PIN, and how expensive it is to guess a PIN from it."""

from functools import partial

import bcrypt
from common.keys import Keyring

from functions.accounts.adapters.pins import BcryptPinDigests

ADA, BOB = "acc_01K0000000000000000000000A", "acc_01K0000000000000000000000B"


def digests(key: bytes = b"a key for tests") -> BcryptPinDigests:
    return BcryptPinDigests(lambda: Keyring({"1": key}), cost=4)


def test_a_pin_matches_only_its_own_digest() -> None:
    kept = digests().digest(ADA, "135790")
    assert digests().matches(ADA, "135790", kept)
    assert not digests().matches(ADA, "135791", kept)
    assert not digests().matches(BOB, "135790", kept)


def test_without_the_key_no_guess_matches() -> None:
    kept = digests().digest(ADA, "135790")
    assert not digests(b"another key").matches(ADA, "135790", kept)
    for guess in (b"135790", f"{ADA}\n135790".encode()):
        assert not bcrypt.checkpw(guess, kept.removeprefix("1:").encode())


def test_equal_pins_have_different_digests() -> None:
    assert digests().digest(ADA, "135790") != digests().digest(ADA, "135790")


def test_a_comparison_is_expensive() -> None:
    assert BcryptPinDigests(lambda: Keyring({"1": b"key"}), cost=12).digest(ADA, "135790").startswith("1:$2b$12$")


def test_the_key_is_read_when_it_is_first_needed() -> None:
    asked: list[int] = []

    def key() -> Keyring:
        asked.append(1)
        return Keyring({"1": b"key"})

    pins = BcryptPinDigests(key, cost=4)
    assert asked == []
    pins.digest(ADA, "135790")
    assert asked == [1]


def test_a_digest_is_compared_under_the_version_that_it_was_made_with() -> None:
    old, new = {"1": b"an old key"}, {"1": b"an old key", "2": b"a new key"}
    before, after = (BcryptPinDigests(partial(Keyring, keys), cost=4) for keys in (old, new))
    kept = before.digest(ADA, "135790")
    assert kept.startswith("1:$2b$")
    assert after.matches(ADA, "135790", kept)
    assert not after.matches(ADA, "135791", kept)
    assert after.digest(ADA, "135790").startswith("2:$2b$")
    assert not before.matches(ADA, "135790", after.digest(ADA, "135790"))
    gone = BcryptPinDigests(lambda: Keyring({"2": b"a new key"}), cost=4)
    assert not gone.matches(ADA, "135790", kept)
