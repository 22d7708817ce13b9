"""The sandbox rail, in place of card networks and banks. It answers by a message, as they do by a callback."""

import json
from typing import Literal, NamedTuple

from common.aws import client
from common.config import config
from common.contracts.transfers import Submit, Submitted


class SandboxAnswer(NamedTuple):
    """The sandbox's answer, and the delay after which it arrives."""

    outcome: Literal["confirmed", "declined"]
    code: str
    delay_seconds: int


class SandboxRail:
    """Decides by the last digits of the card or bank account alone, so a repeated submission has the same answer."""

    def submit(self, request: Submit) -> Submitted:
        """Accept an operation. The answer arrives over the rail's queue, or never; a refund has that of its deposit."""
        answer = answer_to(request.instrument, request.last4)
        if answer is not None:
            message = {
                "transfer_id": request.transfer_id,
                "task_token": request.task_token,
                "operation": request.operation,
                "outcome": answer.outcome,
                "code": answer.code,
            }
            client("sqs").send_message(
                QueueUrl=config().rail_queue, MessageBody=json.dumps(message), DelaySeconds=answer.delay_seconds
            )
        return Submitted()


def answer_to(instrument: Literal["card", "bank_account"], last4: str) -> SandboxAnswer | None:
    """Return the rail's answer for a card or bank account, or None if it never answers."""
    match instrument, last4:
        case "card", "0002":
            return SandboxAnswer("declined", "card_declined", 0)
        case "bank_account", "0002":
            return SandboxAnswer("declined", "bank_declined", 0)
        case "card", "0259":
            return SandboxAnswer("confirmed", "", 30)
        case "bank_account", "0259":
            return None
        case _:
            return SandboxAnswer("confirmed", "", 0)
