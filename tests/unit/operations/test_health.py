"""How the platform says that it is well."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.config import config

from functions.operations import bootstrap
from functions.operations.api import health
from functions.operations.domain import DEAD_LETTERS, ROOMS, TABLES, Check, Health
from functions.operations.probes import AwsProbes
from functions.operations.service import Service
from tests.support.clock import FakeClock
from tests.support.rest import event, send
from tests.support.tables import create_table, template

QUEUES = sorted(queue for queues in DEAD_LETTERS.values() for queue in queues)


class FakeProbes:
    """Tables that serve or not, queues that hold something or not."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.counts: dict[str, int | None] = {}

    def serves(self, room: str) -> bool:
        assert room in TABLES
        return room not in self.down

    def waiting(self, queue: str) -> int | None:
        return self.counts.get(queue, 0)


@pytest.fixture
def probes() -> FakeProbes:
    return FakeProbes()


def test_all_is_well(probes: FakeProbes) -> None:
    found = Service(probes, FakeClock()).health()
    assert (found.status, found.serving, tuple(found.checks)) == ("healthy", True, ROOMS)
    assert found.checks["auth"] == Check(serving=True, dead_letters=0)
    assert found.checks["operations"] == Check(serving=None, dead_letters=0)


@pytest.mark.parametrize("room", TABLES)
def test_a_table_that_is_down_stops_serving(probes: FakeProbes, room: str) -> None:
    probes.down = {room}
    found = Service(probes, FakeClock()).health()
    assert (found.status, found.serving) == ("degraded", False)
    assert [name for name, check in found.checks.items() if check.status == "degraded"] == [room]


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("count", [1, None])
def test_dead_letters_degrade_and_serve_on(probes: FakeProbes, queue: str, count: int | None) -> None:
    probes.counts = {queue: count}
    found = Service(probes, FakeClock()).health()
    assert (found.status, found.serving) == ("degraded", True)
    (room,) = [name for name, check in found.checks.items() if check.status == "degraded"]
    assert queue in DEAD_LETTERS[room]
    assert found.checks[room].dead_letters == count


def test_a_room_s_queues_are_added_up(probes: FakeProbes) -> None:
    probes.counts = {"mail-dead-letters": 2, "mail-flush-dead-letters": 3}
    assert Service(probes, FakeClock()).health().checks["mail"].dead_letters == 5


def test_a_report_is_kept_for_ten_seconds(probes: FakeProbes) -> None:
    clock = FakeClock()
    service = Service(probes, clock)
    seen = []
    for _ in range(3):
        seen.append(service.health().status)
        probes.down = {"auth"}
        clock.advance(seconds=5)
    assert seen == ["healthy", "healthy", "degraded"]


def test_every_table_and_dead_letter_queue_of_the_template_is_looked_at() -> None:
    resources = template()["Resources"].items()
    names = [each["Properties"]["QueueName"]["Fn::Sub"] for _, each in resources if each["Type"] == "AWS::SQS::Queue"]
    dead = [name.removeprefix("${AWS::StackName}-") for name in names if name.endswith(("dead-letters", "-failures"))]
    assert sorted(dead) == QUEUES
    tables = [name for name, each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    assert sorted(tables) == sorted(f"{room.capitalize()}Table" for room in TABLES)


# --- on AWS as moto has it


@pytest.fixture
def aws() -> Iterator[tuple[Any, Any]]:
    with moto.mock_aws():
        dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        for room in TABLES:
            create_table(dynamodb, room)
        for queue in QUEUES:
            sqs.create_queue(QueueName=f"remit-{queue}")
        yield dynamodb, sqs


def test_probes_see_what_is_there(aws: tuple[Any, Any]) -> None:
    dynamodb, sqs = aws
    probes = AwsProbes(dynamodb, sqs, config())
    url = sqs.get_queue_url(QueueName="remit-rail-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert [probes.waiting(queue) for queue in ("rail-dead-letters", "mail-dead-letters")] == [1, 0]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert probes.waiting("rail-dead-letters") == 2
    sqs.delete_queue(QueueUrl=url)
    assert probes.waiting("rail-dead-letters") is None
    assert probes.waiting("no-such-queue") is None
    assert probes.serves("mail")
    dynamodb.delete_table(TableName="remit-mail")
    assert not probes.serves("mail")


@pytest.mark.parametrize(("status", "serves"), [("ACTIVE", True), ("UPDATING", True), ("DELETING", False)])
def test_a_table_serves_while_it_is_changed_and_not_while_it_goes(status: str, serves: bool) -> None:
    class DynamoDb:
        def describe_table(self, TableName: str) -> dict[str, Any]:  # noqa: N803
            return {"Table": {"TableStatus": status}}

    assert AwsProbes(DynamoDb(), None, config()).serves("auth") is serves


def test_over_http(aws: tuple[Any, Any]) -> None:
    bootstrap.service.cache_clear()
    answer = send(health.handler, event("GET", "/health"))
    assert answer.status == 200
    assert answer.json["status"] == "healthy"
    assert answer.json["checks"]["auth"] == {"status": "healthy", "serving": True, "dead_letters": 0}

    aws[0].delete_table(TableName="remit-transfers")
    assert send(health.handler, event("GET", "/health")).status == 200, "kept for ten seconds"
    bootstrap.service.cache_clear()
    answer = send(health.handler, event("GET", "/health"))
    assert (answer.status, answer.json["status"]) == (503, "degraded")
    assert answer.json["checks"]["transfers"] == {"status": "degraded", "serving": False, "dead_letters": 0}
    bootstrap.service.cache_clear()


def test_other_methods_and_queries_are_refused() -> None:
    answer = send(health.handler, event("POST", "/health"))
    assert (answer.status, answer.headers["allow"]) == (405, ["GET"])
    assert send(health.handler, event("GET", "/health", query={"deep": "true"})).status == 400


def test_a_room_without_a_table_is_well_by_its_queues_alone() -> None:
    assert Health({"operations": Check(None, 0)}).serving
    assert Check(None, None).status == "degraded"
