"""Making a user an admin."""

import io
import json
from typing import Any

import pytest

from emulator.settings import Run
from tools.admin import grant, main

ADA = "usr_01K0000000000000000000000A"


class Platform(Run):
    """A run whose function returns the given outcome."""

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


def test_a_verified_user_becomes_an_admin(capsys: pytest.CaptureFixture[str]) -> None:
    platform = Platform("granted")
    main([" Ada@Example.com "], platform)
    printed = capsys.readouterr().out
    assert ADA in printed
    assert "second factor" in printed
    assert platform.__dict__["asked"] == [("remit-auth-grant-role", {"email": "ada@example.com", "role": "admin"})]


@pytest.mark.parametrize(("outcome", "message"), [("not_found", "No user has verified"), ("suspended", "Reactivate")])
def test_other_users_do_not_become_admins(outcome: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(["ada@example.com"], Platform(outcome))


@pytest.mark.parametrize("arguments", [[], ["a@example.com", "b@example.com"]])
def test_one_email_address_is_required(arguments: list[str]) -> None:
    platform = Platform("granted")
    with pytest.raises(SystemExit, match="EMAIL="):
        main(arguments, platform)
    assert platform.__dict__["asked"] == []


def test_a_function_that_fails_raises() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        grant(Platform("granted", FunctionError="Unhandled"), "ada@example.com", "arbiter")
