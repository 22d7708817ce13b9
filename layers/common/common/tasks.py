"""Tasks: what one room asks of another, or a saga of a room. A task is a function invoked by name; nothing here is
reachable over HTTP.

A `Task` names the function and types both ends: the caller writes `call(POST, Post(...))`, the room that answers writes
`handler = serve(POST, ...)`. A business outcome is a value; an exception is a fault, tried again by the caller.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from common.aws import client
from common.config import config
from common.events import SYSTEM, Actor
from common.observability import logger

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


class TaskFailed(Exception):
    """A task died or could not be reached; whether it had its effect is unknown, and calling again is harmless."""


@dataclass(frozen=True, slots=True)
class Task(Generic[RequestT, AnswerT]):
    """A function's name (`accounts-post`), what it takes and what it answers."""

    name: str
    request: type[RequestT]
    answer: type[AnswerT]


def call(task: Task[RequestT, AnswerT], request: RequestT) -> AnswerT:
    """Invokes the function of `task` and waits for its answer. Raises TaskFailed."""
    # Two attempts: a caller that waits for more has no time left to answer.
    reply = client("lambda", attempts=2).invoke(
        FunctionName=config().function(task.name),
        Payload=json.dumps(asdict(request)).encode(),  # type: ignore[call-overload]
    )
    payload = json.loads(reply["Payload"].read() or b"null")
    if "FunctionError" in reply:
        raise TaskFailed(task.name)
    answer: AnswerT = _adapter(task.answer).validate_python(payload)
    return answer


def serve(task: Task[RequestT, AnswerT], run: Callable[[RequestT], AnswerT]) -> Callable[[dict[str, Any], Any], Any]:
    """The Lambda handler of a task, with one log line a call. A fault's text stays in the log."""

    def handler(event: dict[str, Any], context: Any) -> Any:
        try:
            request = _adapter(task.request).validate_python(event)
        except ValidationError as error:
            # Its text quotes what was sent, be that a PIN.
            where = [fault["loc"] for fault in error.errors()]
            logger().error("task given nonsense", extra={"task": task.name, "at": where})
            raise TaskFailed(task.name) from None
        try:
            answer = run(request)
        except Exception as error:
            logger().exception("task failed", extra={"task": task.name})
            raise TaskFailed(task.name) from error
        logger().info("task", extra={"task": task.name, "outcome": getattr(answer, "outcome", None)})
        return asdict(answer)  # type: ignore[call-overload]

    return handler


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


# --- auth -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FindUser:
    """A user by exactly one of id, email and phone; by email or phone only where that is verified."""

    user_id: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class FoundUser:
    """What other rooms may know of a user; all but `outcome` is empty where there is none."""

    outcome: Literal["found", "not_found"]
    user_id: str = ""
    email: str = ""
    email_verified: bool = False
    phone: str | None = None
    phone_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    status: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class MintCode:
    """Mint the code of a challenge, because its message is being written now. Any code minted before is void."""

    challenge_id: str


@dataclass(frozen=True, slots=True)
class MintedCode:
    """A fresh code, to be put in its message and nowhere else; `gone` where the challenge is over.

    `address` is where the message goes: an email address, or a phone number where the purpose is `verify_phone`.
    """

    outcome: Literal["minted", "gone"]
    purpose: str = ""
    address: str = ""
    first_name: str = ""
    code: str = ""
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class RequestCode:
    """Ask for a code to be mailed to a user, for something that another room guards: `subject` says what."""

    user_id: str
    purpose: Literal["pin_reset"]
    subject: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class RequestedCode:
    """A code is on its way, or one was asked for less than a minute ago: then `retry_after` is in seconds."""

    outcome: Literal["requested", "rate_limited"]
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class CheckCode:
    """Try a code that was asked for with the same user, purpose and subject. A right one is used up by it."""

    user_id: str
    purpose: Literal["pin_reset"]
    subject: str
    code: str


@dataclass(frozen=True, slots=True)
class CheckedCode:
    """Whether the code was right, and in time; a refusal is the code of its problem."""

    outcome: Literal["right", "invalid_code", "code_expired"]


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Give the user of a verified email a role. For operators, by IAM alone: `make admin`."""

    email: str
    role: Literal["customer", "arbiter", "admin"]


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """What became of it; `last_admin` stays one, and `suspended` ones are given no role."""

    outcome: Literal["granted", "not_found", "last_admin", "suspended"]
    user_id: str = ""


FIND_USER = Task("auth-find-user", FindUser, FoundUser)
MINT_CODE = Task("auth-mint-code", MintCode, MintedCode)
REQUEST_CODE = Task("auth-request-code", RequestCode, RequestedCode)
CHECK_CODE = Task("auth-check-code", CheckCode, CheckedCode)
GRANT_ROLE = Task("auth-grant-role", GrantRole, GrantedRole)

# --- accounts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom a client addressed: exactly one of these."""

    account_id: str | None = None
    email: str | None = None
    phone: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a transfer as its record keeps it. `alias` is the email or phone it was addressed by; `addressed`
    says that the initiator named the id itself, so that it may be shown to them."""

    type: Literal["account", "card", "bank_account"]
    id: str
    owner_id: str
    display_name: str
    alias: str | None = None
    addressed: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizeTransfer:
    """May `caller_id` send this, and to whom does it go? `source_account_id` None means the currency's default.

    `actor` is whose doing a wrong PIN is.
    """

    caller_id: str
    source_account_id: str | None
    destination: Destination
    amount: int
    currency: str
    pin: str | None = None
    actor: Actor = SYSTEM


@dataclass(frozen=True, slots=True)
class AuthorizeDeposit:
    """May `caller_id` bring money into this account from this card or bank account of theirs?"""

    caller_id: str
    account_id: str
    amount: int
    currency: str
    card_id: str | None = None
    bank_account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """Both parties, or the code of a refusal that records nothing. `last4` are the instrument's last digits."""

    outcome: Literal["authorized", "refused"]
    code: str = ""
    source: Party | None = None
    destination: Party | None = None
    last4: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """Move `amount` from one account to another, once per transfer and step. Ids with a colon are system accounts."""

    transfer_id: str
    source_account_id: str
    destination_account_id: str
    amount: int
    currency: str
    description: str = ""
    step: str = "post"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Make sure that a step never posts, and why. A step that has posted stays posted."""

    transfer_id: str
    outcome: Literal["declined", "failed"]
    code: str = ""
    step: str = "post"


@dataclass(frozen=True, slots=True)
class PostOutcome:
    """What became of a step, for good: the same answer however often it is asked."""

    outcome: Literal["posted", "declined", "failed"]
    code: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set `amount` of an account aside for a transfer: `held` rises, `posted` stays.

    At `lapses_at`, where there is one, what is still held goes back by itself.
    """

    transfer_id: str
    account_id: str
    amount: int
    currency: str
    description: str = ""
    lapses_at: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """Pay the hold of a transfer to `destination_account_id`: in full, or `amount` of it and the rest is released."""

    transfer_id: str
    destination_account_id: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Give the hold of a transfer back."""

    transfer_id: str


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """What a hold is now. Once it is settled, released or lapsed it stays so: a later call is answered with what it
    became."""

    outcome: Literal["held", "settled", "released", "lapsed", "declined", "not_found"]
    code: str = ""
    at: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True)
class CloseAccounts:
    """Close all accounts of a user who leaves, and let none be opened any more; all or, where money is there, none."""

    user_id: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class ClosedAccounts:
    """Whether they are closed; `not_empty` where one holds money, or has money held."""

    outcome: Literal["closed", "not_empty"]


AUTHORIZE_TRANSFER = Task("accounts-authorize-transfer", AuthorizeTransfer, Authorization)
AUTHORIZE_DEPOSIT = Task("accounts-authorize-deposit", AuthorizeDeposit, Authorization)
POST = Task("accounts-post", Post, PostOutcome)
REFUSE = Task("accounts-refuse", Refuse, PostOutcome)
RESERVE = Task("accounts-reserve", Reserve, HoldOutcome)
SETTLE = Task("accounts-settle", Settle, HoldOutcome)
RELEASE = Task("accounts-release", Release, HoldOutcome)
CLOSE_ACCOUNTS = Task("accounts-close-accounts", CloseAccounts, ClosedAccounts)

# --- transfers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand a deposit to its rail; the rail answers through `task_token`."""

    transfer_id: str
    amount: int
    currency: str
    instrument: Literal["card", "bank_account"]
    last4: str
    task_token: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """The rail has it; its answer comes later."""

    outcome: Literal["submitted"] = "submitted"


@dataclass(frozen=True, slots=True)
class Complete:
    """Close a transfer with what became of its posting. `transfer` is the record the saga was started with."""

    transfer: dict[str, Any]
    outcome: Literal["posted", "declined", "failed"]
    code: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer that the transfer's client gets (and got, if one was given before), to the byte."""

    outcome: Literal["completed", "declined", "failed"]
    status: int
    body: str
    content_type: str
    location: str | None = None


SUBMIT = Task("transfers-submit", Submit, Submitted)
COMPLETE = Task("transfers-complete", Complete, Completed)
