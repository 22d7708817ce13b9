"""The tables of a run, read with the rooms' own library, which is a Lambda layer and so not on the path by itself."""

import sys
from dataclasses import dataclass, field

from localstack.settings import ROOT, STACK, Run

sys.path.append(str(ROOT / "layers" / "common"))
from common import clock
from common.dynamo import Item, Table, encode
from common.money import format_amount

__all__ = ["Item", "Table", "Tables", "clock", "encode", "format_amount", "table"]


@dataclass(frozen=True)
class Tables:
    """Every item of the four tables that tell of money and of who was told."""

    accounts: list[Item] = field(default_factory=list)
    transfers: list[Item] = field(default_factory=list)
    notifications: list[Item] = field(default_factory=list)
    mail: list[Item] = field(default_factory=list)

    @classmethod
    def read(cls, run: Run) -> "Tables":
        """The tables as they are now, or nearly: a scan is no snapshot of a system at work."""
        return cls(**{room: list(table(run, room).scan()) for room in cls.__dataclass_fields__})


def table(run: Run, room: str) -> Table:
    """A room's table."""
    return Table(run.client("dynamodb"), f"{STACK}-{room}")
