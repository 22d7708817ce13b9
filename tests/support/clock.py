"""A clock that tests control."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, at: datetime = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **delta: float) -> None:
        """Advance by `timedelta(**delta)`."""
        self.at += timedelta(**delta)
