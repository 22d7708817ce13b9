"""The problem documents of the API (RFC 9457): the one place that knows the status of a refusal.

`PROBLEMS` gives each code its status and title; docs/problems/ has a page for each. This module stays light, because
contexts that store an answer with an idempotency key render it outside of a request.
"""

from typing import NamedTuple

from common.errors import Refusal
from common.idempotency import PROBLEM, Answer, render


class ProblemType(NamedTuple):
    """What all problems of one code share. `detail` is used if the refusal has no detail of its own."""

    status: int
    title: str
    detail: str


PROBLEMS: dict[str, ProblemType] = {
    "validation_failed": ProblemType(
        400, "The request is not valid", "Correct the fields listed in errors, then send the request again."
    ),
    "malformed_json": ProblemType(
        400, "The body is not JSON", "Send one JSON object in UTF-8, without repeated names."
    ),
    "invalid_cursor": ProblemType(
        400,
        "The cursor is not good for this list",
        "Send the next_cursor of this list with the same filters, or start again without a cursor.",
    ),
    "idempotency_key_required": ProblemType(
        400,
        "An Idempotency-Key is required",
        "Send an Idempotency-Key header with a value of your own for each operation.",
    ),
    "unauthenticated": ProblemType(
        401, "Not signed in", "Send a valid access token or API key in the Authorization header."
    ),
    "invalid_credentials": ProblemType(401, "Email or password is wrong", "Check the email address and the password."),
    "invalid_refresh_token": ProblemType(
        401, "The refresh token is not good", "Log in again: the refresh token is unknown, expired or used."
    ),
    "forbidden": ProblemType(403, "Not allowed", "This operation is not available to your role, or to this API key."),
    "email_not_verified": ProblemType(
        403,
        "The email address is not verified",
        "Verify your email address with POST /v1/auth/verify-email, then refresh your access token.",
    ),
    "reauthentication_required": ProblemType(
        403,
        "A recent login is required",
        "Authenticate again with POST /v1/auth/reauthenticate, then repeat the request within 5 minutes.",
    ),
    "second_factor_required": ProblemType(
        403, "A second factor is required", "Set up a second factor for your user, then log in again."
    ),
    "account_suspended": ProblemType(
        403, "The user is suspended", "Contact support: this user can't log in at the moment."
    ),
    "not_found": ProblemType(404, "Not found", "There is no such resource, or it is not yours."),
    "method_not_allowed": ProblemType(405, "Method not allowed", "Use one of the methods in the Allow header."),
    "email_taken": ProblemType(
        409, "The email address is taken", "Another user has this email address. Use another one, or log in."
    ),
    "phone_taken": ProblemType(
        409, "The phone number is taken", "Another user has this phone number. Use another one."
    ),
    "card_already_linked": ProblemType(
        409, "The card is linked already", "Unlink the card where it is linked before you link it again."
    ),
    "invalid_state": ProblemType(
        409, "The state does not allow it", "Read the resource: its present state does not allow this operation."
    ),
    "idempotency_in_progress": ProblemType(
        409, "The first request with this key is still running", "Repeat the request after the time in Retry-After."
    ),
    "account_not_empty": ProblemType(
        409,
        "The account is not empty",
        "Move the money out, and wait for what is on its way, before you close the account.",
    ),
    "limit_reached": ProblemType(409, "There are too many", "Remove one before you add another."),
    "body_too_large": ProblemType(413, "The body is too large", "Send a body of at most 262144 bytes."),
    "unsupported_media_type": ProblemType(
        415, "The body must be application/json", "Send the body with Content-Type: application/json."
    ),
    "insufficient_funds": ProblemType(
        422, "Not enough money available", "The account has less available than this amount."
    ),
    "limit_exceeded": ProblemType(
        422, "The spending limit is exceeded", "The amount exceeds what is left of the account's daily or weekly limit."
    ),
    "account_frozen": ProblemType(422, "The account is frozen", "Money can't leave this account while it is frozen."),
    "card_declined": ProblemType(422, "The card was declined", "Use another card, or contact the card's issuer."),
    "bank_declined": ProblemType(422, "The bank declined", "Use another bank account, or contact the bank."),
    "declined_by_screening": ProblemType(422, "Declined by screening", "This transfer is not permitted."),
    "same_account": ProblemType(
        422, "Source and destination are one account", "Choose a destination other than the source."
    ),
    "currency_mismatch": ProblemType(
        422, "The currencies differ", "Both accounts must have the currency of the request."
    ),
    "no_account_in_currency": ProblemType(
        422,
        "No account in this currency",
        "Open an account in this currency, or send the id of the account to use.",
    ),
    "payee_not_found": ProblemType(422, "No such payee", "Nobody can be paid by this address or id in this currency."),
    "pin_required": ProblemType(422, "The account's PIN is required", "Send the account's PIN in the field pin."),
    "invalid_pin": ProblemType(422, "The PIN is wrong", "Check the PIN. After 5 wrong PINs in a row it is locked."),
    "pin_locked": ProblemType(
        422, "The PIN is locked", "Reset the PIN with a mailed code: POST /v1/accounts/{account_id}/pin/reset."
    ),
    "weak_pin": ProblemType(
        422,
        "The PIN is too easy to guess",
        "Choose six digits that are neither repeated nor in sequence, and not a common PIN.",
    ),
    "invalid_code": ProblemType(
        422, "The code is wrong", "Check the code in the newest message, or request another one."
    ),
    "code_expired": ProblemType(422, "The code has expired", "Request another code."),
    "weak_password": ProblemType(
        422,
        "The password is too easy to guess",
        "Choose a password of 8 characters or more that is not common and does not contain your name or email address.",
    ),
    "refund_exceeds_payment": ProblemType(
        422, "The refund exceeds the payment", "Refund at most what is left of the payment."
    ),
    "idempotency_key_reused": ProblemType(
        422,
        "The key was used for another request",
        "Use a new Idempotency-Key for each operation: this one was first used with another body.",
    ),
    "rate_limited": ProblemType(429, "Too many requests", "Repeat the request after the time in Retry-After."),
    "internal_error": ProblemType(
        500,
        "Something went wrong on our side",
        "The error was logged. Contact support with the trace_id if it persists.",
    ),
    "unavailable": ProblemType(503, "Temporarily unavailable", "Repeat the request after the time in Retry-After."),
}


def document(refusal: Refusal, *, instance: str, trace_id: str) -> dict[str, object]:
    """Return the problem document of a refusal for the request path `instance`."""
    kind = PROBLEMS[refusal.code]
    found: dict[str, object] = {
        "type": type_of(refusal.code),
        "title": kind.title,
        "status": kind.status,
        "detail": refusal.detail or kind.detail,
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
