"""What users change about themselves."""

from typing import Any, Literal, Protocol

from common.clock import Clock
from common.errors import Problem, invalid
from common.events import Actor, Event

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, Passed
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.service import present, settled
from functions.auth.service.credentials import Credentials, Proven


class Store(Protocol):
    """What changing oneself needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def revise(self, user: User, event: Event, passed: Passed | None = None) -> None:
        """Writes a changed user. Raises Stale."""

    def change_factor(
        self,
        user: User,
        event: Event,
        authenticator: Authenticator | None,
        counters: Counters | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        """Writes the user with another second factor, and without an authenticator. Raises Stale."""


class Profile:
    """A user's names and second factor."""

    def __init__(self, store: Store, credentials: Credentials, now: Clock) -> None:
        self._store = store
        self._credentials = credentials
        self._now = now

    def change(
        self,
        actor: Actor,
        user_id: str,
        *,
        first_name: str | None,
        last_name: str | None,
        second_factor: Literal["none", "email"] | None,
        password: str | None,
    ) -> User:
        """The user as changed; None leaves a field as it is. Giving up or exchanging a factor needs the password.

        Raises Problem `email_not_verified` (codes go there), `invalid_credentials`, `rate_limited`, and
        `validation_failed` where the password is missing.
        """
        given = {"first_name": first_name, "last_name": last_name, "second_factor": second_factor}
        wanted = {name: value for name, value in given.items() if value is not None}
        user = present(self._store.user(user_id))
        if _gives_up(user, wanted) and password is None:
            raise invalid("/password", "is required to give up a second factor")
        proven = self._credentials.prove(user_id, password, actor) if password is not None else None
        return settled(lambda: self._change(actor, user_id, wanted, proven))

    def _change(self, actor: Actor, user_id: str, wanted: dict[str, Any], proven: Proven | None) -> User:
        user = self._credentials.still(proven) if proven else present(self._store.user(user_id))
        changed = {name: value for name, value in wanted.items() if getattr(user, name) != value}
        if not changed:
            return user
        if changed.get("second_factor") == "email" and not user.email_verified:
            raise Problem("email_not_verified", "Codes can only be mailed to a verified address.")
        now = self._now()
        revised = user.revised(now, **changed)
        event = revised.event("user.updated", now, actor, tuple(changed))
        if not _gives_up(user, changed):
            self._store.revise(revised, event)
        elif proven is not None:
            self._store.change_factor(revised, event, None, proven.counters)
        else:
            # A factor that was turned on since the password was found not to be needed.
            raise invalid("/password", "is required to give up a second factor")
        return revised


def _gives_up(user: User, wanted: dict[str, Any]) -> bool:
    return user.second_factor not in ("none", wanted.get("second_factor", user.second_factor))
