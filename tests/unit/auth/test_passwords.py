import pytest
from common.errors import Refusal

from functions.auth.adapters.passwords import BcryptHasher
from functions.auth.domain.passwords import check_strength

QUICK = BcryptHasher(cost=4)


@pytest.mark.parametrize("password", ["8 chars!", "x" * 72, "x" * 73, "\U0001f9ee" * 128, "nul\0inside", "ü" * 37])
def test_a_password_matches_only_its_own_hash(password: str) -> None:
    digest = QUICK.digest(password)
    assert QUICK.matches(password, digest)
    assert not QUICK.matches(password + "x", digest)
    assert not QUICK.matches(password[:-1], digest)
    assert password not in digest


def test_passwords_that_differ_after_72_bytes_are_different() -> None:
    assert not QUICK.matches("x" * 72 + "b", QUICK.digest("x" * 72 + "a"))
    assert not QUICK.matches("x" * 72, QUICK.digest("x" * 73))


def test_a_nul_byte_does_not_make_two_passwords_equal() -> None:
    assert not QUICK.matches("password", QUICK.digest("password\0password"))
    assert not QUICK.matches("\0" * 7, QUICK.digest("\0" * 8))


def test_hashes_are_salted() -> None:
    assert QUICK.digest("same words") != QUICK.digest("same words")


def test_composed_and_decomposed_accents_are_the_same_password() -> None:
    assert QUICK.matches("caf\u0065\u0301 creme", QUICK.digest("caf\u00e9 creme"))


def test_a_hash_has_the_given_cost() -> None:
    assert BcryptHasher(cost=12).digest("some words").startswith("$2b$12$")


@pytest.mark.parametrize("password", ["", "abc", "x" * 100])
def test_without_a_hash_no_password_matches(password: str) -> None:
    assert not QUICK.matches(password, None)


def test_an_unknown_user_takes_as_long_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import bcrypt

    costs: list[bytes] = []
    compare = bcrypt.checkpw

    def checkpw(password: bytes, digest: bytes) -> bool:
        costs.append(digest[:7])
        return compare(password, digest)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    QUICK.matches("words", QUICK.digest("words"))
    QUICK.matches("words", None)
    assert costs == [b"$2b$04$"] * 2


def test_the_most_common_passwords_are_known() -> None:
    common = QUICK.common
    assert 4000 <= len(common) <= 6000
    assert {"password", "12345678", "password123", "qwertyuiop", "00000000", "iloveyou"} <= common
    assert all(len(word) >= 8 and word == word.casefold() for word in common)


@pytest.mark.parametrize(("password", "weak"), [("sevench", True), ("eight-ch", False), ("", True)])
def test_a_password_has_at_least_eight_characters(password: str, weak: bool) -> None:
    def check() -> None:
        check_strength(password, QUICK.common, email="ada@example.com", first_name="Ada", last_name="Lovelace")

    if weak:
        with pytest.raises(Refusal, match="weak_password"):
            check()
    else:
        check()


@pytest.mark.parametrize("password", ["\uff50assword\uff11\uff12\uff13", "e\u0301" * 7, "\uff2covelace"])
def test_strength_is_checked_on_the_text_that_is_hashed(password: str) -> None:
    with pytest.raises(Refusal, match="weak_password"):
        check_strength(password, QUICK.common, email="ada@example.com", first_name="Ada", last_name="Lovelace")
