"""What is kept of a PIN, and what it costs to guess one from it."""

import bcrypt

from functions.accounts.pin_digests import COST, PinDigests

ADA, BOB = "acc_01K0000000000000000000000A", "acc_01K0000000000000000000000B"


def digests(key: bytes = b"a key for tests") -> PinDigests:
    return PinDigests(lambda: key, cost=4)


def test_a_pin_matches_its_own_digest_alone() -> None:
    kept = digests().digest(ADA, "135790")
    assert digests().matches(ADA, "135790", kept)
    assert not digests().matches(ADA, "135791", kept)
    assert not digests().matches(BOB, "135790", kept)


def test_who_has_the_table_and_not_the_key_can_not_even_tell_the_right_one() -> None:
    kept = digests().digest(ADA, "135790")
    assert not digests(b"another key").matches(ADA, "135790", kept)
    for guess in (b"135790", f"{ADA}\n135790".encode()):
        assert not bcrypt.checkpw(guess, kept.encode())


def test_equal_pins_are_kept_differently() -> None:
    assert digests().digest(ADA, "135790") != digests().digest(ADA, "135790")


def test_a_comparison_is_dear() -> None:
    assert COST == 12
    assert PinDigests(lambda: b"key").digest(ADA, "135790").startswith("$2b$12$")


def test_the_key_is_read_when_it_is_needed() -> None:
    asked: list[int] = []

    def key() -> bytes:
        asked.append(1)
        return b"key"

    pins = PinDigests(key, cost=4)
    assert asked == []
    pins.digest(ADA, "135790")
    assert asked == [1]
