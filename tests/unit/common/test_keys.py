"""Keyed digests: by key, comparable after a rotation."""

import pytest
from common.keys import Keyring

ONE = Keyring({"1": b"first"})
TWO = Keyring({"1": b"first", "2": b"second"})
TEN = Keyring({"9": b"ninth", "10": b"tenth"})


def test_a_digest_names_the_version_of_its_key() -> None:
    assert ONE.digest("4242").startswith("1:")
    assert TWO.digest("4242").startswith("2:")
    assert TEN.digest("4242").startswith("10:")


def test_a_digest_stays_comparable_after_a_rotation() -> None:
    before = ONE.digest("4242")
    assert TWO.matches("4242", before)
    assert before in TWO.digests("4242")
    assert not ONE.matches("4242", TWO.digest("4242"))


@pytest.mark.parametrize("digest", ["", "1:", "1:00", "x", "3:" + "0" * 64, "\u00e9"])
def test_what_is_no_digest_of_the_value(digest: str) -> None:
    assert not TWO.matches("4242", digest)


def test_other_values_and_other_keys_give_other_digests() -> None:
    assert ONE.digest("4242") != ONE.digest("4243")
    assert ONE.digest("4242") != Keyring({"1": b"other"}).digest("4242")
    assert not ONE.matches("4243", ONE.digest("4242"))
