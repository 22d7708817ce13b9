"""The command that makes the first admin."""

import io
import json
from typing import Any

import pytest

from localstack.admin import grant, main
from localstack.settings import Run

ADA = "usr_01K0000000000000000000000A"


class Platform(Run):
    """A run whose task answers what the test says."""

    def __init__(self, outcome: str, **reply: str) -> None:
        super().__init__()
        self.__dict__.update(outcome=outcome, reply=reply, asked=[])

    def client(self, service: str) -> Any:
        assert service == "lambda"
        return self

    def invoke(self, **request: Any) -> dict[str, Any]:
        state = self.__dict__
        state["asked"].append((request["FunctionName"], json.loads(request["Payload"])))
        answer = {"outcome": state["outcome"], "user_id": ADA if state["outcome"] != "not_found" else ""}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **state["reply"]}


def test_says_who_is_an_admin_now(capsys: pytest.CaptureFixture[str]) -> None:
    platform = Platform("granted")
    main([" Ada@Example.com "], platform)
    assert ADA in capsys.readouterr().out
    assert platform.__dict__["asked"] == [("remit-auth-grant-role", {"email": "ada@example.com", "role": "admin"})]


@pytest.mark.parametrize(("outcome", "says"), [("not_found", "Nobody has verified"), ("suspended", "reactivate")])
def test_fails_where_nobody_was_made_one(outcome: str, says: str) -> None:
    with pytest.raises(SystemExit, match=says):
        main(["ada@example.com"], Platform(outcome))


@pytest.mark.parametrize("arguments", [[], ["a@example.com", "b@example.com"]])
def test_wants_one_email(arguments: list[str]) -> None:
    platform = Platform("granted")
    with pytest.raises(SystemExit, match="EMAIL="):
        main(arguments, platform)
    assert platform.__dict__["asked"] == []


def test_a_task_that_fails_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        grant(Platform("granted", FunctionError="Unhandled"), "ada@example.com", "arbiter")
