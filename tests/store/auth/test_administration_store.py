"""What administration and API keys rely on, proven of the table and of the fake that their own tests use."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from common import ids
from common.dynamo import ConditionFailed, Contended, Table
from common.events import Event

from functions.auth.domain import Stale
from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.users import User
from functions.auth.store import Store
from tests.store.auth.test_store import (
    EMAIL,
    HERE,
    NOW,
    PHONE,
    AnyStore,
    add,
    either,
    open_at,
    open_session,
    session,
    told,
    user,
)
from tests.unit.auth.fakes import STRANGER

__all__ = ["either"]


def update(who: User, **changes: Any) -> tuple[User, Event]:
    changed = who.revised(NOW, **changes)
    return changed, changed.event("user.updated", NOW, STRANGER)


def make_admin(store: AnyStore, who: User) -> User:
    admin, event = update(who, role="admin")
    store.change_user(admin, event, +1)
    return admin


class TestChange:
    def test_writes_the_user_with_the_event(self, any_store: AnyStore) -> None:
        add(any_store, user())
        changed, event = update(user(), status="suspended", generation=1)
        any_store.change_user(changed, event, 0)
        assert any_store.user(user().id) == changed

    def test_is_told_with_the_user(self, store: Store, table: Table) -> None:
        add(store, user())
        store.change_user(*update(user(), role="arbiter"), 0)
        assert told(table) == ["code.requested", "user.updated"]

    def test_what_was_read_must_still_hold(self, any_store: AnyStore) -> None:
        add(any_store, user())
        any_store.change_user(*update(user(), role="arbiter"), 0)
        for admins in (0, 1):
            with pytest.raises(Stale):
                any_store.change_user(*update(user(), role="admin"), admins)
        assert any_store.admins() == 0

    def test_counts_admins_and_keeps_the_last(self, any_store: AnyStore) -> None:
        assert any_store.admins() == 0
        admins = []
        for number, email in ((1, EMAIL), (2, "grace@example.com"), (3, "alan@example.com")):
            registered = user(number, email, None)
            add(any_store, registered)
            admins.append(make_admin(any_store, registered))
        ada, grace, alan = admins
        assert any_store.admins() == 3
        any_store.change_user(*update(ada, role="customer"), -1)
        any_store.bury(alan, alan.deletion(NOW, STRANGER))
        assert any_store.admins() == 1
        with pytest.raises(Stale):
            any_store.change_user(*update(grace, role="customer"), -1)
        with pytest.raises(Stale):
            any_store.bury(grace, grace.deletion(NOW, STRANGER))
        assert any_store.admins() == 1
        assert any_store.user(grace.id) == grace


class TestDeletion:
    def bury(self, store: AnyStore, who: User) -> None:
        store.bury(who, who.deletion(NOW, STRANGER))

    @pytest.mark.parametrize("phone", [PHONE, None])
    def test_leaves_nothing_of_the_user_but_the_fact(self, any_store: AnyStore, phone: str | None) -> None:
        add(any_store, user(phone=phone))
        assert not any_store.is_buried(user().id)
        self.bury(any_store, user(phone=phone))
        assert any_store.is_buried(user().id)
        assert any_store.user(user().id) is any_store.user_by_email(EMAIL) is any_store.user_by_phone(PHONE) is None
        any_store.check_free(EMAIL, PHONE)
        assert not any_store.is_buried("usr_x")

    def test_no_personal_data_stays(self, store: Store, table: Table) -> None:
        _, attempts = add(store, user())
        store.set_code(attempts.challenge_id, "d", "later")
        open_session(store, session())
        key, changed = add_key(store)
        self.bury(store, changed)
        assert told(table) == ["code.requested", "user.deleted", "user.login"]
        store.clear(user().id)
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
        assert store.api_key(key.id) is store.session(user().id, session().id) is None

    def test_clearing_again_and_for_many_is_fine(self, store: Store, table: Table) -> None:
        add(store, user())
        for number in range(250):
            table.put({"pk": f"U#{user().id}", "sk": f"S#{number}"})
        self.bury(store, user())
        for _ in range(2):
            store.clear(user().id)
        assert [item["sk"] for item in table.scan()] == ["U"]

    def test_others_keep_theirs(self, store: Store, table: Table) -> None:
        add(store, user())
        add(store, user(2, "grace@example.com", None))
        before = [item for item in table.scan() if item["sk"] in ("U", "E", "C") and "grace" in str(item)]
        self.bury(store, user())
        store.clear(user().id)
        assert [item for item in table.scan() if "grace" in str(item)] == before
        assert len(before) == 3

    def test_what_was_read_must_still_hold(self, any_store: AnyStore) -> None:
        add(any_store, user())
        any_store.change_user(*update(user(), role="arbiter"), 0)
        with pytest.raises(Stale):
            self.bury(any_store, user())
        assert any_store.user(user().id) is not None
        assert any_store.user_by_email(EMAIL) is not None

    def test_no_change_comes_after_it(self, any_store: AnyStore) -> None:
        add(any_store, user())
        self.bury(any_store, user())
        with pytest.raises(Stale):
            any_store.change_user(*update(user(), role="arbiter"), 0)
        with pytest.raises(Stale):
            open_at(any_store, session(), HERE, NOW)
        with pytest.raises(Stale):
            add_key(any_store)


class TestList:
    def users(self, store: AnyStore, count: int = 30) -> list[User]:
        """Newest first."""
        made = []
        for number in range(count):
            at = NOW + timedelta(milliseconds=number)
            born = replace(user(number, f"u{number}@example.com", None), id=ids.derived_id("usr", at, str(number)))
            add(store, born)
            made.insert(0, born)
        return made

    def test_newest_first_over_all_shards(self, any_store: AnyStore) -> None:
        users = self.users(any_store)
        for at_least in (1, 7, 1000):
            assert list(any_store.newest_users(None, at_least)) == [(each.id, each) for each in users]
        assert list(any_store.newest_users(users[10].id, 5)) == [(each.id, each) for each in users[11:]]
        assert list(any_store.newest_users(users[-1].id, 5)) == []

    def test_the_shards_share_the_load(self, store: Store, table: Table) -> None:
        self.users(store, 64)
        counts = Counter(item["user_shard"] for item in table.scan() if item["sk"] == "U")
        assert sorted(counts) == list("01234567")

    def test_a_changed_user_stays_listed_and_a_deleted_one_does_not(self, store: Store) -> None:
        newest, middle, oldest = self.users(store, 3)
        changed, event = update(middle, status="suspended")
        store.change_user(changed, event, 0)
        store.bury(oldest, oldest.deletion(NOW, STRANGER))
        assert list(store.newest_users(None, 10)) == [(newest.id, newest), (middle.id, changed)]

    def test_one_deleted_since_the_index_was_read_is_none(self, store: Store, table: Table) -> None:
        (gone,) = self.users(store, 1)
        store.bury(gone, gone.deletion(NOW, STRANGER))
        item = table.get((f"U#{gone.id}", "U"))
        assert item is not None
        # An index is behind its table for a moment; here it stays so.
        table.put({**item, "user_shard": "0"})
        assert list(islice(store.newest_users(None, 10), 5)) == [(gone.id, None)]
        assert list(store.newest_users(None, 10)) == [(gone.id, None)]


def add_key(store: AnyStore, who: User | None = None, number: int = 1, name: str = "server") -> tuple[ApiKey, User]:
    changed, event = update(who or store.user(user().id) or user())
    key = ApiKey.new(ids.derived_id("key", NOW, str(number)), "s" * 43, changed, name, {"read"}, NOW)
    store.add_api_key(key, (*store.keyring(changed.id), key.id), changed, event)
    return key, changed


class TestKeys:
    def test_comes_back_by_id_and_on_its_keyring(self, any_store: AnyStore) -> None:
        add(any_store, user())
        assert any_store.keyring(user().id) == ()
        assert any_store.api_keys(()) == []
        key, changed = add_key(any_store)
        other, _ = add_key(any_store, number=2)
        assert any_store.api_key(key.id) == key
        assert any_store.keyring(user().id) == (key.id, other.id)
        assert any_store.api_keys((other.id, "key_x", key.id)) == [other, key]
        assert any_store.api_key("key_x") is None
        assert changed.sequence == 2

    def test_what_was_read_must_still_hold(self, any_store: AnyStore) -> None:
        add(any_store, user())
        add_key(any_store, user())
        with pytest.raises(Stale):
            add_key(any_store, user(), number=2)
        assert len(any_store.keyring(user().id)) == 1
        assert any_store.api_key(ids.derived_id("key", NOW, "2")) is None

    def test_goes_with_its_place_on_the_keyring(self, any_store: AnyStore) -> None:
        add(any_store, user())
        key, changed = add_key(any_store)
        with pytest.raises(Stale):
            any_store.remove_api_key(key.id, (), *update(user()))
        any_store.remove_api_key(key.id, (), *update(changed))
        assert any_store.api_key(key.id) is None
        assert any_store.keyring(user().id) == ()

    def test_its_use_is_noted_and_brings_nothing_back(self, any_store: AnyStore) -> None:
        add(any_store, user())
        key, changed = add_key(any_store)
        used = key.used(NOW)
        assert used is not None
        any_store.note_use(used)
        assert any_store.api_key(key.id) == used
        any_store.remove_api_key(key.id, (), *update(changed))
        any_store.note_use(used)
        assert any_store.api_key(key.id) is None

    @pytest.mark.parametrize("fault", [Contended(), ConditionFailed(None)])
    def test_its_use_is_not_worth_failing_for(
        self, store: Store, table: Table, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        add(store, user())
        key, _ = add_key(store)

        def fail(_: Any) -> None:
            raise fault

        monkeypatch.setattr(store._table, "update", fail)
        store.note_use(replace(key, last_used_at="later"))
        assert store.api_key(key.id) == key
