"""What health answers."""

from common.http.fields import Resource

from functions.operations.domain import Check, Health, Status


class CheckModel(Resource):
    """A room: whether its table serves (None: it has none), and how many dead letters wait (None: unknown)."""

    status: Status
    serving: bool | None
    dead_letters: int | None

    @classmethod
    def of(cls, check: Check) -> "CheckModel":
        """The resource of a check."""
        return cls(status=check.status, serving=check.serving, dead_letters=check.dead_letters)


class HealthModel(Resource):
    """The platform's health, by room."""

    status: Status
    checks: dict[str, CheckModel]

    @classmethod
    def of(cls, health: Health) -> "HealthModel":
        """The resource of a health report."""
        return cls(status=health.status, checks={room: CheckModel.of(check) for room, check in health.checks.items()})
