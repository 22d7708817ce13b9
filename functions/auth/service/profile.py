"""Changes that users make to their own names and second factor."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal, invalid
from common.retry import retry_on_conflict

from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, signed_in_user
from functions.auth.service.credentials import Credentials, PasswordProof

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Profile:
    """The names and the second factor of a user."""

    def __init__(
        self, store: "AuthStore", credentials: Credentials, imitates_product: Callable[[str], bool], now: Clock
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._imitates_product = imitates_product
        self._now = now

    def change(
        self,
        actor: Actor,
        user_id: str,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        second_factor: Literal["none", "email"] | None = None,
        password: str | None = None,
    ) -> User:
        """Return the changed user; None keeps a field. Removing or replacing a second factor needs the password.

        Raises Refusal `email_not_verified` if codes would go to an unverified email, `invalid_credentials`,
        `rate_limited`, and `validation_failed` if the password is missing or the full name is like the product's.
        """
        given = {"first_name": first_name, "last_name": last_name, "second_factor": second_factor}
        wanted = {name: value for name, value in given.items() if value is not None}
        user = signed_in_user(self._store.user(user_id))
        if _removes_factor(user, wanted) and password is None:
            raise _password_required()
        proof = self._credentials.reauthenticate(user_id, password, actor) if password is not None else None
        return retry_on_conflict(lambda: self._change(actor, user_id, wanted, proof), attempts=ATTEMPTS)

    def _change(self, actor: Actor, user_id: str, wanted: dict[str, Any], proof: PasswordProof | None) -> User:
        user = self._credentials.recheck(proof) if proof else signed_in_user(self._store.user(user_id))
        changed = {name: value for name, value in wanted.items() if getattr(user, name) != value}
        if not changed:
            return user
        if changed.get("second_factor") == "email" and not user.email_verified:
            raise Refusal("email_not_verified", "Verify your email address first: login codes are sent to it.")
        now = self._now()
        revised = user.revised(now, **changed)
        if self._imitates_product(f"{revised.first_name} {revised.last_name}"):
            field = "first_name" if "first_name" in changed else "last_name"
            raise invalid(f"/{field}", "must not imitate the name of this service together with the other name")
        event = revised.event("user.updated", now, actor, _kinds(changed))
        if not _removes_factor(user, changed):
            self._store.update_user(revised, event)
        elif proof is not None:
            self._store.change_second_factor(revised, event, None, proof.counter_keys)
        else:
            # A second factor was turned on after the password was found not to be needed.
            raise _password_required()
        return revised


def _kinds(changed: Iterable[str]) -> tuple[str, ...]:
    """Return what changed, as events name it: both names are one `name`."""
    return tuple(dict.fromkeys("name" if each.endswith("_name") else each for each in changed))


def _removes_factor(user: User, wanted: dict[str, Any]) -> bool:
    return user.second_factor not in ("none", wanted.get("second_factor", user.second_factor))


def _password_required() -> Refusal:
    return invalid("/password", "is required to remove a second factor")
