"""A task: a function that another context or a saga invokes by name."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT")


@dataclass(frozen=True, slots=True)
class Task(Generic[RequestT, OutcomeT]):
    """The name of a function without the stack (`accounts-post`), and the types of its request and its outcome."""

    name: str
    request: type[RequestT]
    outcome: type[OutcomeT]


@dataclass(frozen=True, slots=True)
class Done:
    """A task that has nothing to report but that it was done."""

    outcome: Literal["done"] = "done"
