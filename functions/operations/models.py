"""The wire format of health."""

from common.http.fields import Resource

from functions.operations.domain import Check, HealthReport, Status


class CheckResource(Resource):
    """The state of a context. `serving` is null if it has no table, `dead_letters` if their number is unknown."""

    status: Status
    serving: bool | None
    dead_letters: int | None

    @classmethod
    def of(cls, check: Check) -> "CheckResource":
        """Return the resource of a check."""
        return cls(status=check.status, serving=check.serving, dead_letters=check.dead_letters)


class HealthResource(Resource):
    """The platform's health, by context."""

    status: Status
    checks: dict[str, CheckResource]

    @classmethod
    def of(cls, report: HealthReport) -> "HealthResource":
        """Return the resource of a report."""
        checks = {context: CheckResource.of(check) for context, check in report.checks.items()}
        return cls(status=report.status, checks=checks)
