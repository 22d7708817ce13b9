"""An account's PIN: six digits that its owner gives with every debit."""

from dataclasses import dataclass, replace

TRIES = 5


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN as it is kept. `tries` are the wrong ones in a row; `version` counts how often it was set."""

    digest: str
    tries: int = 0
    version: int = 1

    @property
    def is_locked(self) -> bool:
        """Whether not even the right PIN helps any more."""
        return self.tries >= TRIES

    def missed(self) -> "Pin":
        """After one more wrong try."""
        return replace(self, tries=self.tries + 1)

    def replaced(self, digest: str) -> "Pin":
        """After it was set anew, which unlocks it."""
        return Pin(digest, version=self.version + 1)
