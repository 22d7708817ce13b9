"""The store of users, admins and API keys."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from common import ids
from common.contracts.events import Event
from common.dynamo import ConditionFailed, Table
from common.errors import Contended, Stale

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.users import User
from functions.auth.store import AuthStore
from tests.store.auth.test_store import (
    EMAIL,
    HERE,
    NOW,
    PHONE,
    add,
    event_types,
    open_at,
    open_session,
    session,
    user,
)
from tests.unit.auth.world import ANONYMOUS


def update(who: User, **changes: Any) -> tuple[User, Event]:
    changed = who.revised(NOW, **changes)
    return changed, changed.event("user.updated", NOW, ANONYMOUS)


def make_admin(store: AuthStore, who: User) -> User:
    admin, event = update(who, role="admin")
    store.update_user(admin, event, admins=1)
    return admin


class TestChange:
    def test_writes_the_user_with_the_event(self, store: AuthStore) -> None:
        add(store, user())
        changed, event = update(user(), status="suspended", generation=1)
        store.update_user(changed, event)
        assert store.user(user().id) == changed

    def test_the_event_is_stored_with_the_user(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        store.update_user(*update(user(), role="arbiter"))
        assert event_types(table) == ["code.requested", "user.updated"]

    def test_fails_if_the_user_has_changed(self, store: AuthStore) -> None:
        add(store, user())
        store.update_user(*update(user(), role="arbiter"))
        for admins in (0, 1):
            with pytest.raises(Stale):
                store.update_user(*update(user(), role="admin"), admins=admins)
        assert store.admin_count() == 0

    def test_admins_are_counted_and_the_last_one_stays(self, store: AuthStore) -> None:
        assert store.admin_count() == 0
        admins = []
        for number, email in ((1, EMAIL), (2, "grace@example.com"), (3, "alan@example.com")):
            registered = user(number, email, None)
            add(store, registered)
            admins.append(make_admin(store, registered))
        ada, grace, alan = admins
        assert store.admin_count() == 3
        store.update_user(*update(ada, role="customer"), admins=-1)
        store.delete_user(alan, alan.deleted_event(NOW, ANONYMOUS))
        assert store.admin_count() == 1
        with pytest.raises(Stale):
            store.update_user(*update(grace, role="customer"), admins=-1)
        with pytest.raises(Stale):
            store.delete_user(grace, grace.deleted_event(NOW, ANONYMOUS))
        assert store.admin_count() == 1
        assert store.user(grace.id) == grace


class TestDeletion:
    def delete(self, store: AuthStore, who: User) -> None:
        store.delete_user(who, who.deleted_event(NOW, ANONYMOUS))

    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_only_the_fact_of_the_deletion_stays(self, store: AuthStore, phone: str | None) -> None:
        add(store, user(phone=phone))
        assert not store.is_deleted(user().id)
        self.delete(store, user(phone=phone))
        assert store.is_deleted(user().id)
        assert store.user(user().id) is store.user_by_email(EMAIL) is store.user_by_phone(PHONE) is None
        store.check_free(EMAIL)
        assert not store.is_deleted("usr_x")

    def test_no_personal_data_stays(self, store: AuthStore, table: Table) -> None:
        _, attempts = add(store, user())
        store.set_code(attempts.challenge_id, "d", "later")
        open_session(store, session())
        key, changed = add_key(store)
        self.delete(store, changed)
        assert event_types(table) == ["code.requested", "user.deleted", "user.login"]
        store.delete_user_data(user().id)
        assert list(table.scan()) == [
            {
                "pk": f"U#{user().id}",
                "sk": "U",
                "id": user().id,
                "status": "deleted",
                "sequence": 3,
                "created_at": user().created_at,
            }
        ]
        assert store.api_key(key.id) is None
        assert store.session(user().id, session().id) is None

    def test_deleting_the_data_can_be_repeated_and_handles_many_items(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        for number in range(250):
            table.put({"pk": f"U#{user().id}", "sk": f"S#{number}"})
        self.delete(store, user())
        for _ in range(2):
            store.delete_user_data(user().id)
        assert [item["sk"] for item in table.scan()] == ["U"]

    def test_other_users_keep_their_data(self, store: AuthStore, table: Table) -> None:
        add(store, user())
        add(store, user(2, "grace@example.com", None))
        before = [item for item in table.scan() if item["sk"] in ("U", "E", "C") and "grace" in str(item)]
        self.delete(store, user())
        store.delete_user_data(user().id)
        assert [item for item in table.scan() if "grace" in str(item)] == before
        assert len(before) == 3

    def test_fails_if_the_user_has_changed(self, store: AuthStore) -> None:
        add(store, user())
        store.update_user(*update(user(), role="arbiter"))
        with pytest.raises(Stale):
            self.delete(store, user())
        assert store.user(user().id) is not None
        assert store.user_by_email(EMAIL) is not None

    def test_no_change_is_possible_afterwards(self, store: AuthStore) -> None:
        add(store, user())
        self.delete(store, user())
        with pytest.raises(Stale):
            store.update_user(*update(user(), role="arbiter"))
        with pytest.raises(Stale):
            open_at(store, session(), HERE, NOW)
        with pytest.raises(Stale):
            add_key(store)


class TestList:
    def users(self, store: AuthStore, count: int = 30) -> list[User]:
        """Add `count` users and return them, newest first."""
        made: list[User] = []
        for number in range(count):
            at = NOW + timedelta(milliseconds=number)
            born = replace(user(number, f"u{number}@example.com", None), id=ids.derived_id("usr", at, str(number)))
            add(store, born)
            made.insert(0, born)
        return made

    def test_newest_first_over_all_shards(self, store: AuthStore) -> None:
        users = self.users(store)
        for at_least in (1, 7, 1000):
            assert list(store.newest_users(None, at_least)) == [(each.id, each) for each in users]
        assert list(store.newest_users(users[10].id, 5)) == [(each.id, each) for each in users[11:]]
        assert list(store.newest_users(users[-1].id, 5)) == []

    def test_users_are_spread_over_the_shards(self, store: AuthStore, table: Table) -> None:
        self.users(store, 64)
        counts = Counter(item["user_shard"] for item in table.scan() if item["sk"] == "U")
        assert sorted(counts) == list("01234567")

    def test_a_changed_user_stays_listed_and_a_deleted_one_does_not(self, store: AuthStore) -> None:
        newest, middle, oldest = self.users(store, 3)
        changed, event = update(middle, status="suspended")
        store.update_user(changed, event)
        store.delete_user(oldest, oldest.deleted_event(NOW, ANONYMOUS))
        assert list(store.newest_users(None, 10)) == [(newest.id, newest), (middle.id, changed)]

    def test_a_user_deleted_since_the_index_was_read_is_none(self, store: AuthStore, table: Table) -> None:
        (gone,) = self.users(store, 1)
        store.delete_user(gone, gone.deleted_event(NOW, ANONYMOUS))
        item = table.get((f"U#{gone.id}", "U"))
        assert item is not None
        # An index lags behind its table for a moment. This one keeps lagging.
        table.put({**item, "user_shard": "0"})
        assert list(islice(store.newest_users(None, 10), 5)) == [(gone.id, None)]
        assert list(store.newest_users(None, 10)) == [(gone.id, None)]


def add_key(store: AuthStore, who: User | None = None, number: int = 1, name: str = "server") -> tuple[ApiKey, User]:
    changed, event = update(who or store.user(user().id) or user())
    key = ApiKey.new(ids.derived_id("key", NOW, str(number)), "s" * 43, changed, name, {"read"}, NOW)
    store.add_api_key(key, (*store.api_key_ids(changed.id), key.id), changed, event)
    return key, changed


class TestKeys:
    def test_are_read_by_id_and_by_user(self, store: AuthStore) -> None:
        add(store, user())
        assert store.api_key_ids(user().id) == ()
        assert store.api_keys(()) == []
        key, changed = add_key(store)
        other, _ = add_key(store, number=2)
        assert store.api_key(key.id) == key
        assert store.api_key_ids(user().id) == (key.id, other.id)
        assert store.api_keys((other.id, "key_x", key.id)) == [other, key]
        assert store.api_key("key_x") is None
        assert changed.sequence == 2

    def test_fails_if_the_user_has_changed(self, store: AuthStore) -> None:
        add(store, user())
        add_key(store, user())
        with pytest.raises(Stale):
            add_key(store, user(), number=2)
        assert len(store.api_key_ids(user().id)) == 1
        assert store.api_key(ids.derived_id("key", NOW, "2")) is None

    def test_removal_also_updates_the_list_of_the_user(self, store: AuthStore) -> None:
        add(store, user())
        key, changed = add_key(store)
        with pytest.raises(Stale):
            store.remove_api_key(key.id, (), *update(user()))
        store.remove_api_key(key.id, (), *update(changed))
        assert store.api_key(key.id) is None
        assert store.api_key_ids(user().id) == ()

    def test_recording_a_use_does_not_restore_a_revoked_key(self, store: AuthStore) -> None:
        add(store, user())
        key, changed = add_key(store)
        used = key.used(NOW)
        assert used is not None
        store.record_use(used)
        assert store.api_key(key.id) == used
        store.remove_api_key(key.id, (), *update(changed))
        store.record_use(used)
        assert store.api_key(key.id) is None

    @pytest.mark.parametrize("fault", [Contended(), ConditionFailed(None)])
    def test_recording_a_use_never_fails(
        self, store: AuthStore, table: Table, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        add(store, user())
        key, _ = add_key(store)

        def fail(_: Any) -> None:
            raise fault

        monkeypatch.setattr(store._table, "update", fail)
        store.record_use(replace(key, last_used_at="later"))
        assert store.api_key(key.id) == key
