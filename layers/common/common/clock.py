"""Time: UTC, to the millisecond, in RFC 3339. Services take a `Clock`, so that tests control the time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with milliseconds: `2026-11-21T09:30:00.000Z`. Such strings sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """Return the moment of an RFC 3339 text. Raises ValueError if the text is malformed or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
