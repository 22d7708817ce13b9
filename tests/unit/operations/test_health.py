"""The health of the platform."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from common.config import config

from functions.operations import bootstrap
from functions.operations.adapters.probes import AwsProbes
from functions.operations.api import health
from functions.operations.domain import CONTEXTS, DEAD_LETTERS, TABLES, Check, HealthReport
from tests.support.rest import event, send
from tests.support.tables import create_table, template
from tests.unit.operations.world import World

QUEUES = sorted(queue for queues in DEAD_LETTERS.values() for queue in queues)


@pytest.fixture
def world() -> World:
    return World()


def test_a_healthy_platform(world: World) -> None:
    found = world.report()
    assert (found.status, found.serving, tuple(found.checks)) == ("healthy", True, CONTEXTS)
    assert found.checks["auth"] == Check(serving=True, dead_letters=0)
    assert found.checks["operations"] == Check(serving=None, dead_letters=0)


@pytest.mark.parametrize("context", TABLES)
def test_a_table_that_is_down_stops_serving(world: World, context: str) -> None:
    world.down = {context}
    found = world.report()
    assert (found.status, found.serving) == ("degraded", False)
    assert [name for name, check in found.checks.items() if check.status == "degraded"] == [context]


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("count", [1, None])
def test_dead_letters_degrade_and_do_not_stop_serving(world: World, queue: str, count: int | None) -> None:
    world.counts = {queue: count}
    found = world.report()
    assert (found.status, found.serving) == ("degraded", True)
    (context,) = [name for name, check in found.checks.items() if check.status == "degraded"]
    assert queue in DEAD_LETTERS[context]
    assert found.checks[context].dead_letters == count


def test_the_dead_letters_of_a_context_are_added_up(world: World) -> None:
    world.counts = {"mail-dead-letters": 2, "mail-flush-dead-letters": 3}
    assert world.report().checks["mail"].dead_letters == 5


def test_a_report_is_cached_for_ten_seconds(world: World) -> None:
    statuses = []
    for _ in range(3):
        statuses.append(world.report().status)
        world.down = {"auth"}
        world.clock.advance(seconds=5)
    assert statuses == ["healthy", "healthy", "degraded"]


def test_every_table_and_dead_letter_queue_of_the_template_is_probed() -> None:
    resources = template()["Resources"].items()
    names = [each["Properties"]["QueueName"]["Fn::Sub"] for _, each in resources if each["Type"] == "AWS::SQS::Queue"]
    dead = [name.partition("}-")[2] for name in names if name.endswith(("dead-letters", "-failures"))]
    assert sorted(dead) == QUEUES
    tables = [name for name, each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    assert sorted(tables) == sorted(f"{context.capitalize()}Table" for context in TABLES)


# --- on moto


@pytest.fixture
def aws() -> Iterator[tuple[Any, Any]]:
    with moto.mock_aws():
        dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        for context in TABLES:
            create_table(dynamodb, context)
        for queue in QUEUES:
            sqs.create_queue(QueueName=f"remit-{queue}")
        yield dynamodb, sqs


def test_probes_of_tables_and_queues(aws: tuple[Any, Any]) -> None:
    dynamodb, sqs = aws
    probes = AwsProbes(dynamodb, sqs, config())
    url = sqs.get_queue_url(QueueName="remit-rail-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert [probes.message_count(queue) for queue in ("rail-dead-letters", "mail-dead-letters")] == [1, 0]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert probes.message_count("rail-dead-letters") == 2
    sqs.delete_queue(QueueUrl=url)
    assert probes.message_count("rail-dead-letters") is None
    assert probes.message_count("no-such-queue") is None
    assert probes.table_available("mail")
    dynamodb.delete_table(TableName="remit-mail")
    assert not probes.table_available("mail")


@pytest.mark.parametrize(("status", "available"), [("ACTIVE", True), ("UPDATING", True), ("DELETING", False)])
def test_a_table_is_available_while_it_is_changed_and_not_while_it_is_deleted(status: str, available: bool) -> None:
    class DynamoDb:
        def describe_table(self, TableName: str) -> dict[str, Any]:  # noqa: N803
            return {"Table": {"TableStatus": status}}

    assert AwsProbes(DynamoDb(), None, config()).table_available("auth") is available


def test_over_http(aws: tuple[Any, Any]) -> None:
    bootstrap.health.cache_clear()
    answer = send(health.handler, event("GET", "/health"))
    assert answer.status == 200
    assert answer.json["status"] == "healthy"
    assert answer.json["checks"]["auth"] == {"status": "healthy", "serving": True, "dead_letters": 0}

    aws[0].delete_table(TableName="remit-transfers")
    assert send(health.handler, event("GET", "/health")).status == 200, "cached for ten seconds"
    bootstrap.health.cache_clear()
    answer = send(health.handler, event("GET", "/health"))
    assert (answer.status, answer.json["status"]) == (503, "degraded")
    assert answer.json["checks"]["transfers"] == {"status": "degraded", "serving": False, "dead_letters": 0}
    bootstrap.health.cache_clear()


def test_other_methods_and_queries_are_refused() -> None:
    answer = send(health.handler, event("POST", "/health"))
    assert (answer.status, answer.headers["allow"]) == (405, ["GET"])
    assert send(health.handler, event("GET", "/health", query={"deep": "true"})).status == 400


def test_the_health_of_a_context_without_a_table_depends_on_its_queues() -> None:
    assert HealthReport({"operations": Check(None, 0)}).serving
    assert Check(None, None).status == "degraded"
