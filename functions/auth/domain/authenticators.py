"""Authenticator apps (TOTP, RFC 6238) and the recovery codes for whoever loses theirs."""

import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyotp

RECOVERY_CODES = 10
"""How many there are at first."""
_TOTP = re.compile(r"[0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A user's authenticator app. It is their second factor once they have shown a code of it.

    `secret` is encrypted. `recovery_codes` are keyed digests of those that are left. `last_step` is the time step of
    the last code that was accepted: no code of it or one before it is good any more. Every change ascends `version`.
    """

    user_id: str
    secret: bytes = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)
    last_step: int = 0
    version: int = 1

    def used(self, step: int) -> "Authenticator":
        """After a code of a time step was accepted."""
        return replace(self, last_step=step, version=self.version + 1)

    def without(self, digest: str) -> "Authenticator | None":
        """After a recovery code was accepted, None where it is not among those left."""
        left = tuple(each for each in self.recovery_codes if not hmac.compare_digest(each, digest))
        if len(left) == len(self.recovery_codes):
            return None
        return replace(self, recovery_codes=left, version=self.version + 1)


def is_totp(code: str) -> bool:
    """Whether this has the form of an app's code; any other is meant to be a recovery code."""
    return _TOTP.fullmatch(code) is not None


def step_of(secret: str, code: str, at: datetime, after: int) -> int | None:
    """The time step that `code` belongs to: now, or one either side (RFC 6238, 5.2), and later than `after`."""
    totp = pyotp.TOTP(secret)
    now = totp.timecode(at)
    for step in (now - 1, now, now + 1):
        if step > after and hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None


def canonical(recovery_code: str) -> str:
    """The text that a recovery code stands for, however it is typed."""
    return recovery_code.replace("-", "").lower()


def uri(secret: str, email: str) -> str:
    """What an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Remit")
