"""The problem documents of the API (RFC 9457): the one place that knows the status of a refusal.

`PROBLEMS` gives each code its status and title; docs/problems/ has a page for each. This module stays light, because
contexts that store an answer with an idempotency key render it outside of a request.
"""

from typing import NamedTuple

from common.errors import Refusal
from common.idempotency import PROBLEM, Answer, render


class ProblemType(NamedTuple):
    """What all problems of one code share."""

    status: int
    title: str


PROBLEMS: dict[str, ProblemType] = {
    "validation_failed": ProblemType(400, "The request is not valid"),
    "malformed_json": ProblemType(400, "The body is not JSON"),
    "invalid_cursor": ProblemType(400, "The cursor is not good for this list"),
    "idempotency_key_required": ProblemType(400, "An Idempotency-Key is required"),
    "unauthenticated": ProblemType(401, "Not signed in"),
    "invalid_credentials": ProblemType(401, "Email or password is wrong"),
    "invalid_refresh_token": ProblemType(401, "The refresh token is not good"),
    "forbidden": ProblemType(403, "Not allowed"),
    "email_not_verified": ProblemType(403, "The email address is not verified"),
    "account_suspended": ProblemType(403, "The user is suspended"),
    "not_found": ProblemType(404, "Not found"),
    "method_not_allowed": ProblemType(405, "Method not allowed"),
    "email_taken": ProblemType(409, "The email address is taken"),
    "phone_taken": ProblemType(409, "The phone number is taken"),
    "card_already_linked": ProblemType(409, "The card is linked already"),
    "invalid_state": ProblemType(409, "The state does not allow it"),
    "idempotency_in_progress": ProblemType(409, "The first request with this key is still running"),
    "account_not_empty": ProblemType(409, "The account is not empty"),
    "body_too_large": ProblemType(413, "The body is too large"),
    "unsupported_media_type": ProblemType(415, "The body must be application/json"),
    "insufficient_funds": ProblemType(422, "Not enough money available"),
    "limit_exceeded": ProblemType(422, "The spending limit is exceeded"),
    "account_frozen": ProblemType(422, "The account is frozen"),
    "card_declined": ProblemType(422, "The card was declined"),
    "bank_declined": ProblemType(422, "The bank declined"),
    "declined_by_screening": ProblemType(422, "Declined by screening"),
    "same_account": ProblemType(422, "Source and destination are one account"),
    "currency_mismatch": ProblemType(422, "The currencies differ"),
    "payee_not_found": ProblemType(422, "No such payee"),
    "pin_required": ProblemType(422, "The account's PIN is required"),
    "invalid_pin": ProblemType(422, "The PIN is wrong"),
    "pin_locked": ProblemType(422, "The PIN is locked"),
    "invalid_code": ProblemType(422, "The code is wrong"),
    "code_expired": ProblemType(422, "The code has expired"),
    "weak_password": ProblemType(422, "The password is too easy to guess"),
    "refund_exceeds_payment": ProblemType(422, "The refund exceeds the payment"),
    "idempotency_key_reused": ProblemType(422, "The key was used for another request"),
    "rate_limited": ProblemType(429, "Too many requests"),
    "internal_error": ProblemType(500, "Something went wrong on our side"),
    "unavailable": ProblemType(503, "Temporarily unavailable"),
}


def document(refusal: Refusal, *, instance: str, trace_id: str) -> dict[str, object]:
    """Return the problem document of a refusal for the request path `instance`."""
    kind = PROBLEMS[refusal.code]
    found: dict[str, object] = {
        "type": type_of(refusal.code),
        "title": kind.title,
        "status": kind.status,
        "detail": refusal.detail or kind.title + ".",
        "instance": instance,
        "code": refusal.code,
        "trace_id": trace_id,
    }
    if refusal.errors:
        found["errors"] = [error._asdict() for error in refusal.errors]
    if refusal.transfer_id:
        found["transfer_id"] = refusal.transfer_id
    return found


def type_of(code: str) -> str:
    """Return the problem type of a code: the path of its page."""
    return f"/v1/problems/{code.replace('_', '-')}"


def problem_answer(refusal: Refusal, *, instance: str, trace_id: str) -> Answer:
    """Return a refusal as an answer that can be stored with an idempotency key."""
    return Answer(
        PROBLEMS[refusal.code].status, render(document(refusal, instance=instance, trace_id=trace_id)), PROBLEM
    )
