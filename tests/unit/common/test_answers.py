"""Answers stored under idempotency keys: written with the effect, found again byte for byte."""

import pytest
from common import retry
from common.answers import Answers, put_done
from common.dynamo import ABSENT, CONDITION, CONFLICT, Cancelled, Check, Put, Reason
from common.errors import Contended, Refusal
from common.idempotency import Answer, IdempotencyKey

from tests.support.memory_table import Call, MemoryTable

KEY = IdempotencyKey("scope", ("fingerprint",))
OTHER_BODY = IdempotencyKey("scope", ("another",))
ANSWER = Answer(201, '{"id":"1"}', location="/v1/things/1")
THING = Put({"pk": "thing", "sk": "1", "name": "new"}, ABSENT)


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def test_an_answer_is_stored_with_its_effect_and_found_again(table: MemoryTable) -> None:
    answers = Answers(table)
    assert answers.find(KEY) is None
    assert answers.create(THING, [], KEY, ANSWER) == ANSWER
    assert answers.find(KEY) == ANSWER
    assert table.get(("thing", "1")) == THING.item


def test_a_second_request_with_the_key_gets_the_first_answer_and_writes_nothing(table: MemoryTable) -> None:
    answers = Answers(table)
    answers.create(THING, [], KEY, ANSWER)
    second = Put({"pk": "thing", "sk": "2"}, ABSENT)
    assert answers.create(second, [], KEY, Answer(201, "{}")) == ANSWER
    assert table.get(("thing", "2")) is None


def test_a_key_used_with_another_body_is_refused(table: MemoryTable) -> None:
    answers = Answers(table)
    answers.create(THING, [], KEY, ANSWER)
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        answers.find(OTHER_BODY)
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        answers.create(Put({"pk": "thing", "sk": "2"}, ABSENT), [], OTHER_BODY, ANSWER)


def test_without_a_key_only_the_effect_is_written(table: MemoryTable) -> None:
    assert Answers(table).create(THING, [], None, ANSWER) == ANSWER
    assert [item["pk"] for item in table.items()] == ["thing"]


def test_a_repeated_write_after_a_lost_reply_is_the_same_write(table: MemoryTable) -> None:
    answers = Answers(table)
    answers.create(THING, [], KEY, ANSWER)
    assert answers.create(THING, [], KEY, ANSWER) == ANSWER


def test_another_condition_cancels_and_stores_nothing(table: MemoryTable) -> None:
    answers = Answers(table)
    with pytest.raises(Cancelled):
        answers.create(THING, [Check(("owner", "1"), [("pk", "present", None)])], KEY, ANSWER)
    assert answers.find(KEY) is None
    assert table.get(("thing", "1")) is None


def test_a_conflict_beside_another_condition_is_retried_then_given_up(
    table: MemoryTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def conflict(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "transact"):
            calls.append(call)
            raise Cancelled([Reason(CONDITION, None), Reason(CONFLICT, None)])

    monkeypatch.setattr(retry.time, "sleep", lambda _: None)
    table.hook = conflict
    with pytest.raises(Contended):
        Answers(table).create(THING, [], KEY, ANSWER)
    assert len(calls) == retry.ATTEMPTS
    assert table.items() == []


def test_a_command_is_done_once(table: MemoryTable) -> None:
    answers = Answers(table)
    assert not answers.is_done(KEY)
    assert not answers.is_done(None)
    answers.mark_done(KEY)
    answers.mark_done(KEY)
    assert answers.is_done(KEY)
    assert put_done(KEY).item == table.get(("K#scope", "K"))
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        answers.is_done(OTHER_BODY)
