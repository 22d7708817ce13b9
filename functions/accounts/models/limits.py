"""Spending limits as requests and responses."""

from common.http.fields import Amount, Body, Pin, Resource

from functions.accounts.domain.limits import Allowance, CurrentSpending, day_ends, week_ends


class SetLimits(Body):
    """The body of PUT /accounts/{account_id}/limits. A limit that is null or left out is removed."""

    daily: Amount | None = None
    weekly: Amount | None = None
    pin: Pin | None = None


class LimitResource(Resource):
    """A limit, what was spent of it, and when its day or week ends. `spent` may exceed a limit that was lowered."""

    limit: int
    spent: int
    resets_at: str

    @classmethod
    def of(cls, allowance: Allowance, resets_at: str) -> "LimitResource | None":
        """Return a limit as its owner sees it, None if there is none."""
        if allowance.limit is None:
            return None
        return cls(limit=allowance.limit, spent=allowance.spent, resets_at=resets_at)


class LimitsResource(Resource):
    """The limits of an account: of the UTC day, and of the ISO week."""

    currency: str
    daily: LimitResource | None
    weekly: LimitResource | None

    @classmethod
    def of(cls, current: CurrentSpending) -> "LimitsResource":
        """Return both limits as their owner sees them."""
        return cls(
            currency=current.currency,
            daily=LimitResource.of(current.spending.daily, day_ends(current.at)),
            weekly=LimitResource.of(current.spending.weekly, week_ends(current.at)),
        )
