"""Reads the tables of a run."""

from dataclasses import dataclass, field

from common import clock
from common.dynamo import Item, Table
from common.money import format_amount

from emulator.settings import STACK, Run

__all__ = ["Item", "Table", "Tables", "clock", "format_amount", "table"]


@dataclass(frozen=True)
class Tables:
    """The items of the tables about money and notifications."""

    accounts: list[Item] = field(default_factory=list)
    transfers: list[Item] = field(default_factory=list)
    notifications: list[Item] = field(default_factory=list)
    mail: list[Item] = field(default_factory=list)

    @classmethod
    def read(cls, run: Run) -> "Tables":
        """Scan the tables. On a platform at work, this is not a consistent snapshot."""
        return cls(**{context: list(table(run, context).scan()) for context in cls.__dataclass_fields__})


def table(run: Run, context: str) -> Table:
    """Return the table of a context."""
    return Table(run.client("dynamodb"), f"{STACK}-{context}")
