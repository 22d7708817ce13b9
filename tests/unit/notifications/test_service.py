"""The inbox: told once, counted exactly, read once."""

from datetime import timedelta

import pytest
from common.errors import Problem
from common.http.lists import Page
from common.idempotency import Idempotency

from functions.notifications.service import Inbox, Service
from tests.unit.notifications.fakes import ADA, GRACE, START, FakeStore, deleted, event


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def service(store: FakeStore) -> Service:
    return Service(store)


def inbox(service: Service, user: str = ADA, **options: object) -> Inbox:
    defaults: dict[str, object] = {"after": None, "position": None, "read": None, "limit": 25}
    return service.inbox(user, **{**defaults, **options})  # type: ignore[arg-type]


def ids_of(found: Inbox) -> list[str]:
    return [each.id for each in found.page.items]


def counted(store: FakeStore, user: str) -> int:
    """What the counter ought to say."""
    return sum(1 for (owner, _), each in store.kept.items() if owner == user and not each.read)


def test_an_event_heard_again_tells_nothing_new(service: Service) -> None:
    for _ in range(3):
        service.hear(event())
    assert [len(ids_of(inbox(service, user))) for user in (ADA, GRACE)] == [1, 1]
    assert inbox(service).unread == 1


def test_an_event_heard_again_after_it_was_read_stays_read(service: Service) -> None:
    service.hear(event())
    service.read_all(ADA)
    service.hear(event())
    found = inbox(service)
    assert found.unread == 0 and found.page.items[0].read


def test_two_hear_the_same_event_at_once(service: Service, store: FakeStore) -> None:
    store.meanwhile = lambda: service.hear(event())
    service.hear(event())
    assert store.counters == {ADA: 1, GRACE: 1}


def test_a_list_is_newest_first_in_pages(service: Service) -> None:
    for number in range(5):
        service.hear(event(number))
    first = inbox(service, limit=2)
    second = inbox(service, limit=2, position=first.page.next_position)
    third = inbox(service, limit=2, position=second.page.next_position)
    listed = ids_of(first) + ids_of(second) + ids_of(third)
    assert listed == sorted(listed, reverse=True) and len(listed) == 5
    assert third.page.next_position is None
    assert {first.unread, second.unread, third.unread} == {5}


def test_after_lists_only_what_is_newer(service: Service) -> None:
    for number in range(5):
        service.hear(event(number))
    everything = ids_of(inbox(service))
    assert ids_of(inbox(service, after=everything[2])) == everything[:2]
    page = inbox(service, after=everything[3], limit=2)
    assert ids_of(page) == everything[:2]
    assert ids_of(inbox(service, after=everything[3], limit=2, position=page.page.next_position)) == [everything[2]]
    assert ids_of(inbox(service, after=everything[0])) == []


def test_unread_lists_the_unread_alone(service: Service) -> None:
    for number in range(3):
        service.hear(event(number))
    newest, middle, oldest = ids_of(inbox(service))
    service.read(ADA, middle)
    assert ids_of(inbox(service, read=False)) == [newest, oldest]
    assert ids_of(inbox(service, read=True)) == [middle]
    service.read_all(ADA)
    assert inbox(service, read=False) == Inbox(inbox(service, read=False).page, 0)
    assert ids_of(inbox(service, read=False)) == []
    assert ids_of(inbox(service, read=True)) == [newest, middle, oldest]


def test_reading_twice_counts_once(service: Service, store: FakeStore) -> None:
    service.hear(event(1))
    service.hear(event(2))
    one = ids_of(inbox(service))[0]
    service.read(ADA, one)
    service.read(ADA, one)
    assert store.counters[ADA] == 1 == counted(store, ADA)


def test_two_read_the_same_at_once(service: Service, store: FakeStore) -> None:
    service.hear(event())
    (one,) = ids_of(inbox(service))
    store.meanwhile = lambda: service.read(ADA, one)
    service.read(ADA, one)
    assert store.counters[ADA] == 0


@pytest.mark.parametrize("user", [ADA, "usr_01K0000000000000000000000C"])
def test_what_is_not_yours_is_not_found(service: Service, store: FakeStore, user: str) -> None:
    service.hear(event())
    (hers,) = ids_of(inbox(service, GRACE))
    with pytest.raises(Problem) as problem:
        service.read(user, hers)
    assert problem.value.code == "not_found"
    assert store.counters == {ADA: 1, GRACE: 1}
    assert not any(each.read for each in store.kept.values())


@pytest.mark.parametrize("number", [0, 1, 98, 99, 100, 250])
def test_reading_all_reads_all_and_only_the_caller_s(service: Service, store: FakeStore, number: int) -> None:
    for each in range(number):
        service.hear(event(each))
    service.read_all(ADA)
    service.read_all(ADA)
    assert (counted(store, ADA), store.counters.get(ADA, 0)) == (0, 0)
    assert (counted(store, GRACE), store.counters.get(GRACE, 0)) == (number, number)


def test_reading_all_while_one_is_read_counts_it_once(service: Service, store: FakeStore) -> None:
    for number in range(5):
        service.hear(event(number))
    one = ids_of(inbox(service))[2]
    store.meanwhile = lambda: service.read(ADA, one)
    service.read_all(ADA)
    assert store.counters[ADA] == 0 == counted(store, ADA)


def test_reading_all_twice_at_once(service: Service, store: FakeStore) -> None:
    for number in range(120):
        service.hear(event(number))
    store.meanwhile = lambda: service.read_all(ADA)
    service.read_all(ADA)
    assert store.counters[ADA] == 0 == counted(store, ADA)


def test_what_arrives_while_all_is_read_stays_unread(service: Service, store: FakeStore) -> None:
    service.hear(event(1))
    store.meanwhile = lambda: service.hear(event(2))
    service.read_all(ADA)
    found = inbox(service)
    assert [each.read for each in found.page.items] == [False, True]
    assert found.unread == 1


KEY = Idempotency("scope", "fingerprint")


@pytest.mark.parametrize("number", [0, 1, 250])
def test_reading_all_again_by_its_key_leaves_what_came_since(service: Service, store: FakeStore, number: int) -> None:
    for each in range(number):
        service.hear(event(each))
    assert service.read_all(ADA, KEY) is False
    service.hear(event(number))
    assert service.read_all(ADA, KEY) is True
    assert store.counters[ADA] == 1 == counted(store, ADA)
    assert service.read_all(ADA, Idempotency("another", "fingerprint")) is False
    assert store.counters[ADA] == 0 == counted(store, ADA)


def test_a_key_finishes_what_it_began(service: Service, store: FakeStore) -> None:
    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    def die_at_the_mark() -> None:
        store.meanwhile = die

    for number in range(3):
        service.hear(event(number))
    store.meanwhile = die_at_the_mark
    with pytest.raises(Died):
        service.read_all(ADA, KEY)
    service.hear(event(3))
    service.read_all(ADA, KEY)
    assert store.counters[ADA] == 1 == counted(store, ADA)


def test_a_key_is_free_after_what_was_not_found(service: Service, store: FakeStore) -> None:
    service.hear(event())
    (hers,) = ids_of(inbox(service, GRACE))
    with pytest.raises(Problem):
        service.read(ADA, hers, KEY)
    (mine,) = ids_of(inbox(service))
    assert [service.read(ADA, mine, KEY) for _ in range(2)] == [False, True]


def test_a_key_that_was_used_for_something_else_is_refused(service: Service, store: FakeStore) -> None:
    service.hear(event())
    service.read_all(ADA, KEY)
    with pytest.raises(Problem, match="idempotency_key_reused"):
        service.read_all(ADA, Idempotency("scope", "other"))


def test_whoever_is_deleted_has_nothing_and_gets_nothing(service: Service, store: FakeStore) -> None:
    service.hear(event(1))
    service.read_all(ADA, KEY)
    for _ in range(2):
        service.hear(deleted())
        service.hear(event(1))
        service.hear(event(2))
    assert inbox(service) == Inbox(Page([], None), 0)
    assert {owner for owner, _ in store.kept} == {GRACE}
    assert (store.counters, store.keys) == ({GRACE: 2}, {})
    assert store.gone == {ADA: int((START + timedelta(days=60)).timestamp())}
