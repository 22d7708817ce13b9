"""DynamoDB is moto's, or AWS's own engine where `make test-dynamodb` says so; whatever else AWS has stays moto's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support import dynamodb_local


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The engine has nothing to say of tables in memory."""
    if dynamodb_local.ENGINE not in os.environ:
        return
    doubles = [item for item in items if {"memory", "fake"} & set(_parameters(item))]
    config.hook.pytest_deselected(items=doubles)
    items[:] = [item for item in items if item not in doubles]


def _parameters(item: pytest.Item) -> list[str]:
    call = getattr(item, "callspec", None)
    return [value for value in call.params.values() if isinstance(value, str)] if call else []


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[Any]:
    """A client of the engine, which all clients made from now on reach too; None where DynamoDB is moto's."""
    folder = os.environ.get(dynamodb_local.ENGINE)
    if folder is None:
        yield None
        return
    # moto answers for AWS's own hosts alone, and lets this one through.
    with dynamodb_local.running(Path(folder)) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        yield boto3.client("dynamodb")


def _drop_new_tables(engine: Any) -> Iterator[None]:
    """Removes in the end what was not there in the beginning: moto forgets its tables with each mock."""
    if engine is None:
        yield
        return
    before = engine.list_tables()["TableNames"]
    yield
    for name in engine.list_tables()["TableNames"]:
        if name not in before:
            engine.delete_table(TableName=name)


@pytest.fixture(scope="module", autouse=True)
def _fresh_module(engine: Any) -> Iterator[None]:
    yield from _drop_new_tables(engine)


@pytest.fixture(autouse=True)
def _fresh_test(engine: Any, _fresh_module: None) -> Iterator[None]:
    yield from _drop_new_tables(engine)
