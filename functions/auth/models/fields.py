"""The fields that requests of the auth context share."""

from typing import Annotated, TypeVar

from common.http.fields import Body, Code
from pydantic import AfterValidator, Field, StringConstraints

T = TypeVar("T")

Password = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ChallengeId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
SecondFactorCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _not_null(value: T | None) -> T:
    if value is None:
        raise ValueError("can't be removed")
    return value


NotNull = AfterValidator(_not_null)
"""For a field that may be left out but must not be null."""


class CodeConfirmation(Body):
    """A six-digit code."""

    code: Code = Field(repr=False)
