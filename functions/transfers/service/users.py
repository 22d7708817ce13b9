"""What remains of users who are deleted."""

from typing import TYPE_CHECKING

from functions.transfers.domain.users import Unfinished, without_personal_data

if TYPE_CHECKING:
    from functions.transfers.store.users import UserStore

_MAX_RECORDS_PER_CALL = 300


class Users:
    """The personal data of users in the records of their transfers."""

    def __init__(self, store: "UserStore") -> None:
        self._store = store

    def delete_personal_data(self, user_id: str) -> None:
        """Delete a user's name and aliases from all records. A second call changes nothing.

        The stored first answers stay, because the same key returns the same bytes. Raises Unfinished if there is more
        to do than one call can.
        """
        changed = 0
        for record in self._store.records(user_id):
            cleaned = without_personal_data(record.transfer, user_id)
            if cleaned == record.transfer:
                continue
            if changed == _MAX_RECORDS_PER_CALL:
                raise Unfinished
            self._store.replace_parties(record, cleaned)
            changed += 1
