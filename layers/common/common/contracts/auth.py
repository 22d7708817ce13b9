"""The tasks of the auth context."""

from dataclasses import dataclass
from typing import Literal

from common.contracts.events import Actor
from common.contracts.task import Done, Task


@dataclass(frozen=True, slots=True)
class FindUser:
    """Find a user by exactly one of id, email and phone. An email or phone finds a user only if it is verified."""

    user_id: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class FoundUser:
    """What other contexts may know of a user. If the outcome is `not_found`, every other field is empty."""

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
    """Make the code of a challenge, because its message is being written now. A code made before becomes void."""

    challenge_id: str


@dataclass(frozen=True, slots=True)
class MintedCode:
    """A new code, to be put into its message and nowhere else. `gone` means that the challenge is no longer open.

    `address` is the recipient: a phone number if the purpose is `verify_phone`, else an email address.
    """

    outcome: Literal["minted", "gone"]
    purpose: str = ""
    address: str = ""
    first_name: str = ""
    code: str = ""
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class RequestCode:
    """Mail a code to a user for something that another context guards; `subject` identifies it.

    Refused with `rate_limited` if a code was requested less than a minute ago.
    """

    user_id: str
    purpose: Literal["pin_reset"]
    subject: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class CheckCode:
    """Check a code that was requested with the same user, purpose and subject. A correct code is used up.

    Refused with `invalid_code` or `code_expired`.
    """

    user_id: str
    purpose: Literal["pin_reset"]
    subject: str
    code: str


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Give the user of a verified email a role. Only operators may invoke this task, by IAM (`make admin`)."""

    email: str
    role: Literal["customer", "arbiter", "admin"]


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """The result of granting a role. The last admin keeps the role, and a suspended user is given none."""

    outcome: Literal["granted", "not_found", "last_admin", "suspended"]
    user_id: str = ""


FIND_USER = Task("auth-find-user", FindUser, FoundUser)
MINT_CODE = Task("auth-mint-code", MintCode, MintedCode)
REQUEST_CODE = Task("auth-request-code", RequestCode, Done)
CHECK_CODE = Task("auth-check-code", CheckCode, Done)
GRANT_ROLE = Task("auth-grant-role", GrantRole, GrantedRole)
