"""Every refusal a client can see: `raise Problem("not_found")` anywhere, and `common.http` answers RFC 9457.

The table below is where a code gets its status and title; docs/problems/ has a page for each.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Kind(NamedTuple):
    """What all problems of one code share."""

    status: int
    title: str


PROBLEMS: dict[str, Kind] = {
    "validation_failed": Kind(400, "The request is not valid"),
    "malformed_json": Kind(400, "The body is not JSON"),
    "invalid_cursor": Kind(400, "The cursor is not good for this list"),
    "idempotency_key_required": Kind(400, "An Idempotency-Key is required"),
    "unauthenticated": Kind(401, "Not signed in"),
    "invalid_credentials": Kind(401, "Email or password is wrong"),
    "invalid_refresh_token": Kind(401, "The refresh token is not good"),
    "forbidden": Kind(403, "Not allowed"),
    "email_not_verified": Kind(403, "The email address is not verified"),
    "account_suspended": Kind(403, "The user is suspended"),
    "not_found": Kind(404, "Not found"),
    "method_not_allowed": Kind(405, "Method not allowed"),
    "email_taken": Kind(409, "The email address is taken"),
    "phone_taken": Kind(409, "The phone number is taken"),
    "card_already_linked": Kind(409, "The card is linked already"),
    "invalid_state": Kind(409, "The state does not allow it"),
    "idempotency_in_progress": Kind(409, "The first request with this key is still running"),
    "account_not_empty": Kind(409, "The account is not empty"),
    "body_too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body must be application/json"),
    "insufficient_funds": Kind(422, "Not enough money available"),
    "limit_exceeded": Kind(422, "The spending limit is exceeded"),
    "account_frozen": Kind(422, "The account is frozen"),
    "card_declined": Kind(422, "The card was declined"),
    "bank_declined": Kind(422, "The bank declined"),
    "declined_by_screening": Kind(422, "Declined by screening"),
    "same_account": Kind(422, "Source and destination are one account"),
    "currency_mismatch": Kind(422, "The currencies differ"),
    "payee_not_found": Kind(422, "No such payee"),
    "pin_required": Kind(422, "The account's PIN is required"),
    "invalid_pin": Kind(422, "The PIN is wrong"),
    "pin_locked": Kind(422, "The PIN is locked"),
    "invalid_code": Kind(422, "The code is wrong"),
    "code_expired": Kind(422, "The code has expired"),
    "weak_password": Kind(422, "The password is too easy to guess"),
    "refund_exceeds_payment": Kind(422, "The refund exceeds the payment"),
    "idempotency_key_reused": Kind(422, "The key was used for another request"),
    "rate_limited": Kind(429, "Too many requests"),
    "internal_error": Kind(500, "Something went wrong on our side"),
    "unavailable": Kind(503, "Temporarily unavailable"),
}


class FieldError(NamedTuple):
    """One fault of a request: a JSON Pointer (RFC 6901) to the field, and what is wrong with it."""

    pointer: str
    detail: str


class Problem(Exception):
    """A refusal with a code of `PROBLEMS`; `retry_after` is in seconds, `transfer_id` names what was recorded."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        transfer_id: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.kind = PROBLEMS[code]
        self.detail = detail or self.kind.title + "."
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.transfer_id = transfer_id

    def document(self, *, instance: str, trace_id: str) -> dict[str, object]:
        """The RFC 9457 document of this problem for the request `instance`."""
        document: dict[str, object] = {
            "type": f"/v1/problems/{self.code.replace('_', '-')}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "trace_id": trace_id,
        }
        if self.errors:
            document["errors"] = [error._asdict() for error in self.errors]
        if self.transfer_id:
            document["transfer_id"] = self.transfer_id
        return document


def invalid(pointer: str, detail: str) -> Problem:
    """The `validation_failed` of one field."""
    return Problem("validation_failed", errors=[FieldError(pointer, detail)])
