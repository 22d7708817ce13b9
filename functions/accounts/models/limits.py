"""Spending limits on the wire."""

from common.http.fields import Amount, Body, Pin, Resource

from functions.accounts.domain.limits import Allowance, Spending, day_ends, week_ends


class SetLimits(Body):
    """PUT /accounts/{account_id}/limits: both limits as they shall be; None, or left out, for none."""

    daily: Amount | None = None
    weekly: Amount | None = None
    pin: Pin | None = None


class LimitResource(Resource):
    """A limit, what is spent of it, and when its day or week is over. `spent` may exceed a limit set since."""

    limit: int
    spent: int
    resets_at: str

    @classmethod
    def of(cls, allowance: Allowance, resets_at: str) -> "LimitResource | None":
        """A limit as a client sees it; None where there is none."""
        if allowance.limit is None:
            return None
        return cls(limit=allowance.limit, spent=allowance.spent, resets_at=resets_at)


class LimitsResource(Resource):
    """Both limits of an account: that of the UTC day, that of the ISO week."""

    currency: str
    daily: LimitResource | None
    weekly: LimitResource | None

    @classmethod
    def of(cls, currency: str, spending: Spending, at: str) -> "LimitsResource":
        """The limits as a client sees them at a moment."""
        return cls(
            currency=currency,
            daily=LimitResource.of(spending.daily, day_ends(at)),
            weekly=LimitResource.of(spending.weekly, week_ends(at)),
        )
