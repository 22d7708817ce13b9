"""The subscriptions to events: each has exactly the events that its consumer handles, and nobody else may send."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from common.contracts.events import Actor, Event, EventType

from functions.mail.domain.mails import LEASE_LENGTH
from tests.support.tables import contexts, functions, resources
from tests.unit.mail.world import ADA, CHALLENGE, GRACE, START
from tests.unit.mail.world import World as MailWorld
from tests.unit.notifications.world import World as InboxWorld

TYPES = get_args(EventType)
SUBSCRIPTIONS = resources("AWS::SNS::Subscription")
QUEUES = resources("AWS::SQS::Queue")
POLICIES = resources("AWS::SQS::QueuePolicy")
# What any event may say, so that every event that a consumer handles has an effect.
DATA: dict[str, Any] = {
    "user_id": ADA,
    "owner_id": ADA,
    "payer_id": ADA,
    "payee_id": GRACE,
    "challenge_id": CHALLENGE,
    "purpose": "verify_email",
    "new_device": True,
    "changed": ["email", "phone", "second_factor", "role", "status", "name", "api_key_created", "api_key_revoked"],
    "role": "arbiter",
    "status": "active",
    "kind": "transfer",
    "code": None,
    "name": "Main",
    "tries": 5,
    "source_name": "Ada Lovelace",
    "destination_name": "Grace Hopper",
    "currency": "USD",
    "period": "daily",
    **dict.fromkeys(("amount", "limit", "spent", "available", "threshold"), 1000),
}


def inbox_handles(event: Event) -> bool:
    """Return whether the inboxes change."""
    world = InboxWorld()
    world.inbox.handle(event)
    return world.table.items() != []


def mail_handles(event: Event) -> bool:
    """Return whether anything is read, written or sent."""
    world = MailWorld()
    world.mailer.handle(event)
    return world.calls.made != []


def types_that(handles: Callable[[Event], bool]) -> set[str]:
    """Return the types of the events that a consumer handles, with transfers and deposits."""
    actor = Actor(ADA, "ses_1", "203.0.113.7", "curl/8.5.0")
    events = [Event.new(each, "subject", 1, START, DATA, actor) for each in TYPES]
    events += [replace(each, data=DATA | {"kind": "deposit"}) for each in events]
    return {event.type for event in events if handles(event)}


@pytest.mark.parametrize(
    ("subscription", "handles"), [("NotificationsSubscription", inbox_handles), ("MailSubscription", mail_handles)]
)
def test_a_consumer_is_subscribed_to_exactly_the_events_that_it_handles(
    subscription: str, handles: Callable[[Event], bool]
) -> None:
    types = SUBSCRIPTIONS[subscription]["FilterPolicy"]["type"]
    assert sorted(types) == sorted(types_that(handles))


def test_only_types_of_events_are_subscribed_to() -> None:
    filters = [each["FilterPolicy"] for each in SUBSCRIPTIONS.values() if each["TopicArn"] == {"Ref": "EventsTopic"}]
    assert len(filters) >= 4
    for each in filters:
        assert each.keys() == {"type"}
        assert set(each["type"]) <= set(TYPES)


def test_only_the_topic_of_its_subscription_may_send_to_a_queue() -> None:
    topics = {each["Endpoint"]["Fn::GetAtt"]: each["TopicArn"] for each in SUBSCRIPTIONS.values()}
    allowed: dict[str, Any] = {}
    for policy in POLICIES.values():
        (queue,) = policy["Queues"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": f"{queue['Ref']}.Arn"},
            "Condition": {"ArnEquals": {"aws:SourceArn": topics.get(f"{queue['Ref']}.Arn")}},
        }
        allowed[f"{queue['Ref']}.Arn"] = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert allowed == topics
    assert set(map(str, topics.values())) == {"{'Ref': 'EventsTopic'}", "{'Ref': 'MailFeedbackTopic'}"}


@pytest.mark.parametrize(("function", "queue"), [("MailMail", "MailQueue"), ("MailFlush", "MailFlushQueue")])
def test_a_claim_on_a_mail_outlives_its_function_and_ends_before_the_next_delivery(function: str, queue: str) -> None:
    assert functions()[function]["Events"]["Messages"]["Properties"]["Queue"] == {"Fn::GetAtt": f"{queue}.Arn"}
    timeout = timedelta(seconds=functions()[function]["Timeout"])
    next_delivery = timedelta(seconds=QUEUES[queue]["VisibilityTimeout"])
    assert timeout < LEASE_LENGTH < next_delivery


def test_a_subscription_delivers_what_its_queue_s_consumer_reads() -> None:
    for each in SUBSCRIPTIONS.values():
        assert (each["Protocol"], each["RawMessageDelivery"]) == ("sqs", True)
    for context in ("mail", "notifications"):
        subscription = SUBSCRIPTIONS[f"{context.capitalize()}Subscription"]
        assert subscription["Endpoint"] == {"Fn::GetAtt": f"{context.capitalize()}Queue.Arn"}
        assert subscription["TopicArn"] == {"Ref": "EventsTopic"}
        assert "EventsTopic" in contexts()[context]["Parameters"]
