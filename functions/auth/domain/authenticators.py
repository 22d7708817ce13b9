"""Authenticator apps (TOTP, RFC 6238), and recovery codes for users who lose theirs."""

import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime

RECOVERY_CODE_COUNT = 10
_TOTP = re.compile(r"[0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The authenticator app of a user. It becomes their second factor when they enter a code of it.

    `secret` is encrypted. `recovery_codes` are keyed digests of the unused codes. `last_step` is the time step of the
    last accepted code: codes of that step and of earlier steps are refused. `version` increases with every change.
    """

    user_id: str
    secret: bytes = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)
    last_step: int = 0
    version: int = 1

    def used(self, step: int) -> "Authenticator":
        """Return the authenticator after a code of a time step was accepted."""
        return replace(self, last_step=step, version=self.version + 1)

    def without(self, digests: tuple[str, ...]) -> "Authenticator | None":
        """Return the authenticator after a recovery code was accepted, or None if the code is unknown or used.

        `digests` are those of the code under every version of the key.
        """
        left = tuple(each for each in self.recovery_codes if not any(hmac.compare_digest(each, one) for one in digests))
        if len(left) == len(self.recovery_codes):
            return None
        return replace(self, recovery_codes=left, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """What an authenticator app needs, and the recovery codes. Shown only once."""

    secret: str = field(repr=False)
    otpauth_uri: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


def is_totp(code: str) -> bool:
    """Return whether `code` has the form of an app's code. Any other text is taken as a recovery code."""
    return _TOTP.fullmatch(code) is not None


def step_of(secret: str, code: str, at: datetime, after: int) -> int | None:
    """Return the time step of `code`, or None if it is wrong.

    The current step and one on either side are accepted (RFC 6238, 5.2), if they are later than `after`.
    """
    # Every store loads this module, the authorizer's too, which never needs pyotp.
    import pyotp

    totp = pyotp.TOTP(secret)
    now = totp.timecode(at)
    for step in (now - 1, now, now + 1):
        if step > after and hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None


def canonical(recovery_code: str) -> str:
    """Return a recovery code without dashes and in lower case, so that it may be typed either way."""
    return recovery_code.replace("-", "").lower()


def provisioning_uri(secret: str, email: str) -> str:
    """Return the URI that an app reads from a QR code."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Remit")
