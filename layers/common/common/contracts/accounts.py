"""The tasks of the accounts context: approvals, the steps of the ledger, and closing a user's accounts.

Amounts are integers in the currency's minor unit. Account ids with a colon (`rail:sandbox:USD`) are system accounts.
"""

from dataclasses import dataclass
from typing import Literal

from common.contracts.events import SYSTEM, Actor
from common.contracts.task import Done, Task


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom a client addressed: exactly one of these fields is set."""

    account_id: str | None = None
    email: str | None = None
    phone: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a transfer, as its record keeps it.

    `alias` is the email or phone by which the party was addressed. `addressed` means that the initiator named the id,
    so that the id may be shown to them.
    """

    type: Literal["account", "card", "bank_account"]
    id: str
    owner_id: str
    display_name: str
    alias: str | None = None
    addressed: bool = False


@dataclass(frozen=True, slots=True)
class ApproveTransfer:
    """Check whether `caller_id` may send this, and resolve both parties.

    If `source_account_id` is None, the default account of the currency pays. `actor` is recorded with a wrong PIN.
    Refused with `not_found` (source account), `pin_required`, `invalid_pin`, `pin_locked`, `same_account`,
    `payee_not_found` or `currency_mismatch`; a refusal records nothing but the wrong PIN.
    """

    caller_id: str
    source_account_id: str | None
    destination: Destination
    amount: int
    currency: str
    pin: str | None = None
    actor: Actor = SYSTEM


@dataclass(frozen=True, slots=True)
class ApproveDeposit:
    """Check whether `caller_id` may bring money into this account from this card or bank account of theirs.

    Refused with `not_found` (account, card or bank account) or `currency_mismatch`.
    """

    caller_id: str
    account_id: str
    amount: int
    currency: str
    card_id: str | None = None
    bank_account_id: str | None = None


@dataclass(frozen=True, slots=True)
class TransferApproval:
    """Both parties of an approved transfer. `last4` are the last digits of a card or bank account, else empty."""

    source: Party
    destination: Party
    last4: str = ""


@dataclass(frozen=True, slots=True)
class Expect:
    """Keep an account open for money that a rail is asked for, until the posting step of the transfer is recorded."""

    transfer_id: str
    account_id: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class ExpectOutcome:
    """The final outcome of an expectation; the same for every call. Refused with `payee_not_found` if it is closed."""

    outcome: Literal["expected", "refused"]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """Move `amount` from one account to another, once per transfer and step.

    If `is_expected`, the destination was made to expect the money, and no longer does after this step, posted or not.
    """

    transfer_id: str
    source_account_id: str
    destination_account_id: str
    amount: int
    currency: str
    description: str = ""
    step: str = "post"
    is_expected: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Record that a step never posts, and why. A step that has posted stays posted.

    `expecting_account_id` is the account that was made to expect the money, and no longer does after this step.
    """

    transfer_id: str
    outcome: Literal["declined", "failed"]
    code: str = ""
    step: str = "post"
    expecting_account_id: str = ""


@dataclass(frozen=True, slots=True)
class PostOutcome:
    """The final outcome of a step; the same for every call."""

    outcome: Literal["posted", "declined", "failed"]
    code: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Hold `amount` of an account for a transfer: `held` rises, `posted` stays.

    If `lapses_at` is set, what is still held at that time is released.
    """

    transfer_id: str
    account_id: str
    amount: int
    currency: str
    description: str = ""
    lapses_at: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """Pay the hold of a transfer to an account: in full, or `amount` of it, and release the rest."""

    transfer_id: str
    destination_account_id: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Release the hold of a transfer."""

    transfer_id: str


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """The state of a hold. A hold that is settled, released or lapsed never changes again."""

    outcome: Literal["held", "settled", "released", "lapsed", "declined", "not_found"]
    code: str = ""
    at: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True)
class CloseAccounts:
    """Close all accounts of a user who is being deleted, and let no account be opened any more.

    Refused with `account_not_empty` if an account has money or holds, or expects money; then no account is closed.
    """

    user_id: str
    actor: Actor


APPROVE_TRANSFER = Task("accounts-approve-transfer", ApproveTransfer, TransferApproval)
APPROVE_DEPOSIT = Task("accounts-approve-deposit", ApproveDeposit, TransferApproval)
EXPECT = Task("accounts-expect", Expect, ExpectOutcome)
POST = Task("accounts-post", Post, PostOutcome)
REFUSE = Task("accounts-refuse", Refuse, PostOutcome)
RESERVE = Task("accounts-reserve", Reserve, HoldOutcome)
SETTLE = Task("accounts-settle", Settle, HoldOutcome)
RELEASE = Task("accounts-release", Release, HoldOutcome)
CLOSE_ACCOUNTS = Task("accounts-close-accounts", CloseAccounts, Done)
