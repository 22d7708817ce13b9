from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from common import ids
from common.contracts.auth import FoundUser
from common.contracts.events import Event
from common.errors import Contended, Refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.accounts.domain.payees import Payee, changes_of
from functions.accounts.models.payees import PayeeQuery
from functions.accounts.service.payees import Payees
from functions.accounts.store.payees import PayeeStore
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.world import World, once

ADA = Payee(
    user_id="usr_01K0000000000000000000000A",
    sequence=2,
    status="active",
    first_name="Ada",
    last_name="Lovelace",
    email="ada@example.org",
    phone="+4915112345678",
    at="2026-11-21T09:30:00.000Z",
)
BOB = replace(ADA, user_id="usr_01K0000000000000000000000B", first_name="Bob", phone=None)
LATER = "2026-11-21T09:31:00.000Z"


def entries(world: World) -> dict[str, dict[str, Any]]:
    """The entries by user id or alias."""
    return {item["pk"].removeprefix("P#"): item for item in world.table.items()}


# --- rules ----------------------------------------------------------------------------------------------------------


def test_a_payee_has_only_verified_aliases() -> None:
    user = {
        "user_id": "usr_1",
        "status": "active",
        "first_name": "A",
        "last_name": "L",
        "email": "a@b.c",
        "phone": "+1",
    }
    assert Payee.of({**user, "email_verified": True, "phone_verified": True}, 1, "").aliases == ("a@b.c", "+1")
    assert Payee.of({**user, "email_verified": False, "phone_verified": False}, 1, "").aliases == ()


def test_of_a_deleted_user_only_the_status_is_kept() -> None:
    deleted = Payee.of({"user_id": "usr_1", "status": "deleted", "first_name": "Ada", "email": "a@b.c"}, 9, "at")
    assert deleted == Payee("usr_1", 9, "deleted", "", "", None, None, "at")
    assert not deleted.is_payable


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [("Ada", "Lovelace", "Ada L."), ("Åsa", "Öberg", "Åsa Ö."), ("Ada", "von Neumann", "Ada v.")],
)
def test_the_display_name(first: str, last: str, shown: str) -> None:
    assert replace(ADA, first_name=first, last_name=last).display_name == shown


def test_an_older_or_known_state_changes_nothing() -> None:
    entries = dict.fromkeys((ADA.user_id, *ADA.aliases), ADA)
    assert changes_of(ADA, entries) == {}
    assert changes_of(replace(ADA, sequence=1, email="old@example.org"), entries) == {}


def test_an_alias_goes_to_the_later_claim() -> None:
    assert changes_of(replace(BOB, at=LATER), {"ada@example.org": ADA})["ada@example.org"] == replace(BOB, at=LATER)
    assert "ada@example.org" not in changes_of(BOB, {"ada@example.org": replace(ADA, at=LATER)})


def test_a_former_alias_is_deleted_only_if_it_is_still_theirs() -> None:
    without = replace(ADA, sequence=3, email=None)
    own = dict.fromkeys((ADA.user_id, *ADA.aliases), ADA)
    assert changes_of(without, own) == {ADA.user_id: without, "ada@example.org": None, ADA.phone: without}
    moved = {**own, "ada@example.org": BOB}
    assert changes_of(without, moved) == {ADA.user_id: without, ADA.phone: without}


# --- entries --------------------------------------------------------------------------------------------------------


def test_a_user_has_entries_by_id_and_verified_aliases(world: World) -> None:
    user_id = world.register("ada.lovelace@example.org", phone="+4915112345678", phone_verified=False)
    assert set(entries(world)) == {user_id, "ada.lovelace@example.org"}
    world.change(user_id, phone_verified=True)
    found = entries(world)
    assert set(found) == {user_id, "ada.lovelace@example.org", "+4915112345678"}
    assert {entry["sequence"] for entry in found.values()} == {2}
    assert found["+4915112345678"] == {
        "pk": "P#+4915112345678",
        "sk": "P",
        "user_id": user_id,
        "sequence": 2,
        "status": "active",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada.lovelace@example.org",
        "phone": "+4915112345678",
        "at": world.now(),
    }


def test_a_new_address_replaces_the_old(world: World) -> None:
    user_id = world.register("ada.lovelace@example.org")
    world.change(user_id, email="ada.king@example.org")
    assert set(entries(world)) == {user_id, "ada.king@example.org"}


def test_a_suspended_user_keeps_all_entries_and_a_deleted_user_one(world: World) -> None:
    user_id = world.register("ada.lovelace@example.org")
    world.change(user_id, status="suspended")
    assert {entry["status"] for entry in entries(world).values()} == {"suspended"}
    world.change(user_id, status="deleted")
    assert set(entries(world)) == {user_id}
    assert "Ada" not in repr(world.table.items())


def test_repeated_and_late_events_change_nothing(world: World) -> None:
    user_id = world.register("ada.lovelace@example.org")
    first = world.event(user_id)
    second = world.change(user_id, email="ada.king@example.org")
    before = world.table.items()
    changes = len(world.table.changes)
    for event in (first, second, first):
        world.payees.handle(event)
    assert world.table.items() == before
    assert len(world.table.changes) == changes


def test_an_entry_that_changes_meanwhile_is_read_again(world: World) -> None:
    user_id = world.register("ada.lovelace@example.org", handled=False)
    first = world.event(user_id)
    second = world.change(user_id, handled=False, email="ada.king@example.org")
    once(world.table, "transact", "before", lambda: world.payees.handle(second))
    world.payees.handle(first)
    assert set(entries(world)) == {user_id, "ada.king@example.org"}


def test_two_users_who_claim_an_alias_concurrently(world: World) -> None:
    once(world.table, "transact", "before", lambda: world.payees.update(replace(BOB, at=LATER)))
    world.payees.update(ADA)
    assert entries(world)["ada@example.org"]["user_id"] == BOB.user_id
    assert entries(world)[ADA.user_id]["email"] == "ada@example.org"


def test_an_alias_is_not_restored_from_an_outdated_state(world: World) -> None:
    # The alias is missing, as after a claim that lost. The user changes just before it is restored.
    world.payees.update(ADA)
    world.table.delete(("P#ada@example.org", "P"))
    moved = replace(ADA, sequence=3, email=None)
    once(world.table, "transact", "before", lambda: world.payees.update(moved))
    world.payees.update(ADA)
    assert set(entries(world)) == {ADA.user_id, ADA.phone}


def test_entries_that_keep_changing_are_contended(world: World) -> None:
    sequence = iter(range(2, 100))

    def overtake(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            world.table.hook = None
            world.payees.update(replace(ADA, sequence=next(sequence)))
            world.table.hook = overtake

    world.table.hook = overtake
    with pytest.raises(Contended):
        world.payees.update(replace(ADA, sequence=100))
    assert entries(world)[ADA.user_id]["sequence"] < 100


# --- look-ups ---------------------------------------------------------------------------------------------------------


def look_up(world: World, alias: str = "ada@example.org", caller: str = BOB.user_id) -> str:
    """The masked name, or the code of the refusal."""
    named = {"email": alias, "phone": None} if "@" in alias else {"email": None, "phone": alias}
    try:
        return world.payees.look_up(caller, **named).masked_name
    except Refusal as problem:
        return problem.code


def test_a_look_up_shows_the_masked_name(world: World) -> None:
    world.payees.update(ADA)
    assert [look_up(world), look_up(world, "+4915112345678")] == ["A** L."] * 2


def test_the_masked_name_hides_the_length_of_the_name() -> None:
    masked = {replace(ADA, first_name="A" * long, last_name="L" * long).masked_name for long in range(1, 20)}
    assert masked == {"A** L."}


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_a_user_who_can_not_be_paid_is_not_found(world: World, status: str) -> None:
    user_id = world.register("ada.lovelace@example.org")
    assert look_up(world, "ada.lovelace@example.org") == "A** L."
    world.change(user_id, status=status)
    if status == "deleted":
        del world.users[user_id]
    assert look_up(world, "ada.lovelace@example.org") == "not_found"
    assert look_up(world, "nobody@example.org") == "not_found"


def test_an_unverified_alias_is_not_found(world: World) -> None:
    phone = "+4915112345678"
    user_id = world.register("ada.lovelace@example.org", email_verified=False, phone=phone)
    assert [look_up(world, "ada.lovelace@example.org"), look_up(world, phone)] == ["not_found"] * 2
    world.change(user_id, handled=False, email_verified=True, phone_verified=True)
    assert [look_up(world, "ada.lovelace@example.org"), look_up(world, phone)] == ["A** L."] * 2
    assert world.item(f"P#{phone}", "P") is not None


def test_thirty_look_ups_an_hour_including_misses(world: World) -> None:
    world.payees.update(ADA)
    world.clock.advance(minutes=20, seconds=-0.5)
    found = [look_up(world, alias) for alias in ["ada@example.org", "nobody@example.org"] * 15]
    assert found == ["A** L.", "not_found"] * 15
    with pytest.raises(Refusal) as refusal:
        world.payees.look_up(BOB.user_id, email="ada@example.org", phone=None)
    assert (refusal.value.code, refusal.value.retry_after) == ("rate_limited", 601)
    assert look_up(world, caller=ADA.user_id) == "A** L."
    world.clock.advance(minutes=10, seconds=0.5)
    assert look_up(world) == "A** L."


def test_the_count_of_look_ups_expires(world: World) -> None:
    look_up(world)
    (item,) = [item for item in world.table.items() if item["pk"].startswith("L#")]
    assert item["expires_at"] == datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("given", "alias"),
    [(" Ada@Example.org ", "ada@example.org"), ("+4915112345678", "+4915112345678")],
)
def test_an_alias_is_an_email_or_a_phone(given: str, alias: str) -> None:
    query = PayeeQuery.model_validate({"alias": given})
    assert (query.alias, query.email or query.phone) == (alias, alias)
    assert (query.email is None) != (query.phone is None)


@pytest.mark.parametrize(
    "alias", ["", "ada", "4915112345678", "+0", "ada@", "usr_01K0000000000000000000000A", "@" * 600]
)
def test_anything_else_is_not_an_alias_and_is_not_quoted(alias: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PayeeQuery.model_validate({"alias": alias})
    (error,) = refusal.value.errors()
    assert error["loc"] == ("alias",)
    assert not alias or alias not in error["msg"]


# --- any order ------------------------------------------------------------------------------------------------------

USERS = [ids.derived_id("usr", datetime(2026, 1, 1, tzinfo=UTC), str(each)) for each in range(3)]
PHONE, SHARED = "+4915110000001", "shared@example.org"


@dataclass
class Auth:
    """A model of the auth context: one user at a time has an alias, and gives it up before another takes it."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def do(self, action: str, user_id: str) -> None:
        user = self.users[user_id]
        if user["status"] == "deleted":
            return
        match action:
            case "take phone":
                for holder_id in self._holders("phone", PHONE, user_id):
                    self.do("drop phone", holder_id)
                self.publish(user_id, phone=PHONE, phone_verified=True)
            case "take email":
                for holder_id in self._holders("email", SHARED, user_id):
                    self.do("own email", holder_id)
                self.publish(user_id, email=SHARED, email_verified=True)
            case "drop phone":
                self.publish(user_id, phone=None, phone_verified=False)
            case "own email":
                self.publish(user_id, email=f"{user_id.lower()}@example.org", email_verified=True)
            case "rename":
                self.publish(user_id, first_name=user["first_name"] + "x")
            case _:
                self.publish(user_id, status=action)

    def _holders(self, name: str, alias: str, but: str) -> list[str]:
        users = self.users.items()
        return [
            user_id for user_id, user in users if user_id != but and user[name] == alias and user["status"] != "deleted"
        ]

    def publish(self, user_id: str, **changes: Any) -> None:
        self.at += timedelta(milliseconds=1)
        user = self.users.get(user_id, {"user_id": user_id, "sequence": 0})
        self.users[user_id] = {**user, **changes, "sequence": user["sequence"] + 1}
        data = {name: value for name, value in self.users[user_id].items() if name != "sequence"}
        self.events.append(Event.new("user.updated", user_id, user["sequence"] + 1, self.at, data))

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries that should exist in the end, derived independently."""
        for user_id, user in self.users.items():
            last = next(event for event in reversed(self.events) if event.subject == user_id)
            gone = user["status"] == "deleted"
            email = user["email"] if user["email_verified"] and not gone else None
            phone = user["phone"] if user["phone_verified"] and not gone else None
            entry = {
                "sk": "P",
                "user_id": user_id,
                "sequence": user["sequence"],
                "status": user["status"],
                "first_name": "" if gone else user["first_name"],
                "last_name": "" if gone else user["last_name"],
                "email": email,
                "phone": phone,
                "at": last.time,
            }
            for name in (user_id, email, phone):
                if name:
                    yield f"P#{name}", {"pk": f"P#{name}", **entry}


# Aliases that change hands are the hard case, so most commands are about them.
TAKES = ["take phone", "take email"]
ACTIONS = [*TAKES * 4, "drop phone", "own email", "rename", "suspended", "active", "deleted"]
COMMANDS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(USERS)), min_size=3, max_size=8)


@settings(max_examples=400, deadline=None)
@given(COMMANDS, st.data())
def test_events_in_any_order_and_number_give_the_same_entries(
    commands: list[tuple[str, str]], data: st.DataObject
) -> None:
    auth = Auth()
    fresh = {"first_name": "First", "last_name": "Last", "phone": None, "phone_verified": False, "status": "active"}
    for user_id in USERS:
        auth.publish(user_id, email=f"{user_id.lower()}@example.org", email_verified=False, **fresh)
    for command in commands:
        auth.do(*command)
    again = data.draw(st.lists(st.sampled_from(auth.events), max_size=3))
    order = data.draw(st.permutations(auth.events + again))
    table = MemoryTable()
    payees = Payees(PayeeStore(table), lambda request: FoundUser("not_found"), FakeClock())
    for event in order:
        payees.handle(event)
    assert {item["pk"]: item for item in table.items()} == dict(auth.entries())
