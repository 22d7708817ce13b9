"""The PIN of an account: six digits that its owner sends with every debit."""

from dataclasses import dataclass, replace

MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Pin:
    """A stored PIN. `tries` counts the wrong ones in a row; `version` counts how often the PIN was set."""

    digest: str
    tries: int = 0
    version: int = 1

    @property
    def is_locked(self) -> bool:
        """Whether even the right PIN is refused."""
        return self.tries >= MAX_TRIES

    def failed(self) -> "Pin":
        """Return the PIN after one more wrong try."""
        return replace(self, tries=self.tries + 1)

    def replaced(self, digest: str) -> "Pin":
        """Return the PIN after it was set again, which unlocks it."""
        return Pin(digest, version=self.version + 1)
