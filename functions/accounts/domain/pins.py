"""The PIN of an account: six digits that its owner sends with every debit."""

from dataclasses import dataclass, replace
from itertools import pairwise

MAX_TRIES = 5
MAX_TRIES_PER_DAY = 20
# The twenty commonest passwords of six digits in the frequency list of zxcvbn (MIT, Dan Wheeler and Dropbox, Inc.).
COMMON_PINS = frozenset(
    (
        *("123456", "111111", "123123", "696969", "666666", "123321", "654321", "000000", "112233", "131313"),
        *("159753", "123654", "159357", "789456", "102030", "315475", "007007", "111222", "147258", "010203"),
    )
)
# From each digit to the next, modulo 10: the same digit, one more, one less.
_EASY_STEPS = (0, 1, 9)


def is_weak(pin: str) -> bool:
    """Return whether a PIN is too easy to guess.

    Too easy are a repeated digit (`000000`), ascending and descending digits, also across 9 and 0 (`456789`, `890123`,
    `210987`), and the twenty commonest.
    """
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return pin in COMMON_PINS or any(steps == {step} for step in _EASY_STEPS)


@dataclass(frozen=True, slots=True)
class Pin:
    """A stored PIN. `version` counts how often it was set.

    `tries` counts the wrong ones in a row, `day_tries` those of the UTC day `day`, whatever right ones come between.
    """

    digest: str
    tries: int = 0
    version: int = 1
    day: str = ""
    day_tries: int = 0

    def is_locked(self, today: str) -> bool:
        """Return whether even the right PIN is refused."""
        return self.tries >= MAX_TRIES or (self.day == today and self.day_tries >= MAX_TRIES_PER_DAY)

    def failed(self, today: str) -> "Pin":
        """Return the PIN after one more wrong try."""
        day_tries = self.day_tries + 1 if self.day == today else 1
        return replace(self, tries=self.tries + 1, day=today, day_tries=day_tries)

    def replaced(self, digest: str) -> "Pin":
        """Return the PIN after its owner, who knew it, set another: the tries of the day still count."""
        return replace(self, digest=digest, tries=0, version=self.version + 1)

    def unlocked(self, digest: str) -> "Pin":
        """Return the PIN after its owner set another with a mailed code: no try counts any more."""
        return Pin(digest, version=self.version + 1)
