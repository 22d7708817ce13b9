"""The digest of a PIN, and how expensive it is to guess a PIN from it."""

import bcrypt

from functions.accounts.adapters.pins import BcryptPinDigests

ADA, BOB = "acc_01K0000000000000000000000A", "acc_01K0000000000000000000000B"


def digests(key: bytes = b"a key for tests") -> BcryptPinDigests:
    return BcryptPinDigests(lambda: key, cost=4)


def test_a_pin_matches_only_its_own_digest() -> None:
    kept = digests().digest(ADA, "135790")
    assert digests().matches(ADA, "135790", kept)
    assert not digests().matches(ADA, "135791", kept)
    assert not digests().matches(BOB, "135790", kept)


def test_without_the_key_no_guess_matches() -> None:
    kept = digests().digest(ADA, "135790")
    assert not digests(b"another key").matches(ADA, "135790", kept)
    for guess in (b"135790", f"{ADA}\n135790".encode()):
        assert not bcrypt.checkpw(guess, kept.encode())


def test_equal_pins_have_different_digests() -> None:
    assert digests().digest(ADA, "135790") != digests().digest(ADA, "135790")


def test_a_comparison_is_expensive() -> None:
    assert BcryptPinDigests(lambda: b"key", cost=12).digest(ADA, "135790").startswith("$2b$12$")


def test_the_key_is_read_when_it_is_first_needed() -> None:
    asked: list[int] = []

    def key() -> bytes:
        asked.append(1)
        return b"key"

    pins = BcryptPinDigests(key, cost=4)
    assert asked == []
    pins.digest(ADA, "135790")
    assert asked == [1]
