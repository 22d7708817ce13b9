"""Changes of email addresses and phone numbers."""

from common.contracts.events import Event
from common.dynamo import Cancelled, Delete, Key, Put, Table, Write
from common.errors import Refusal, Stale

from functions.auth.domain.codes import UsedCode
from functions.auth.domain.users import User
from functions.auth.store.items import code_used, keyed, next_user, transact
from functions.auth.store.keys import email_key, phone_key


class AddressStore:
    """The claims on email addresses and phone numbers, as they move from one user to another."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def change_email(self, user: User, before: User, event: Event, used: UsedCode) -> None:
        """Write a user with another email, claim it and free the old one. Raises Refusal `email_taken`, and Stale."""
        claims = _move_claim(user.id, email_key(before.email), email_key(user.email), user.id)
        try:
            self._table.transact([*claims, next_user(user, event), *code_used(used)])
        except Cancelled as cancelled:
            if cancelled.reasons[0].failed:
                raise Refusal("email_taken") from cancelled
            raise Stale from cancelled

    def change_phone(
        self, user: User, before: User, event: Event, used: UsedCode, previous: tuple[User, Event] | None
    ) -> None:
        """Write a user with another phone number, claim it and free the old one. Raises Stale.

        `previous` is the previous owner without the number, with the event of that.
        """
        old = phone_key(before.phone) if before.phone else None
        owner = previous[0].id if previous else user.id
        transact(
            self._table,
            *_move_claim(user.id, old, phone_key(user.phone or ""), owner),
            next_user(user, event),
            *code_used(used),
            *([next_user(*previous)] if previous else ()),
        )


def _move_claim(user_id: str, old: Key | None, new: Key, owner: str) -> list[Write]:
    """Claim `new` if it is free or belongs to `owner`, and free `old` if it is another key."""
    writes: list[Write] = [Put(keyed(new, {"user_id": user_id}), (("user_id", "absent or =", owner),))]
    if old is not None and old != new:
        writes.append(Delete(old, (("user_id", "=", user_id),)))
    return writes
