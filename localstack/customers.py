"""Two customers that every run has: Ada and Bob, made over HTTP as anyone would be, and found again the next time."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localstack import inbox
from localstack.http import Answer, send
from localstack.settings import Run

PASSWORD = "four blue wagons roll uphill"  # noqa: S105 (printed for everyone to use)
CODE = re.compile(r"\b[0-9]{6}\b")


@dataclass
class Customer:
    """A customer, signed in."""

    run: Run
    email: str
    first_name: str
    last_name: str
    card: str
    token: str = ""
    user: Mapping[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """One request to the API. Raises SystemExit where nobody answers."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            return send(method, self.run.api_url + path, body=body, headers=headers)
        except OSError as error:
            raise SystemExit(f"\nNobody answers at {self.run.api_url} ({error}): make up") from error

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The body of an answer that is no problem. Raises SystemExit where it is one."""
        answer = self.request(method, path, body, key=key)
        if answer.status >= 400:
            raise SystemExit(
                f"\n{method} {path} was answered {answer.status}: {answer.content.decode(errors='replace')}"
            )
        return answer.json if answer.content else None

    def sign_in(self) -> bool:
        """Signs in, and registers first where that is needed; whether it was."""
        new = not self._login()
        if new:
            body = {
                "email": self.email,
                "password": PASSWORD,
                "first_name": self.first_name,
                "last_name": self.last_name,
            }
            self.ask("POST", "/auth/register", body)
            self._login()
        if not self.user["email_verified"]:
            self._verify_email()
            self._login()
        return new

    def _login(self) -> bool:
        answer = self.request("POST", "/auth/login", {"email": self.email, "password": PASSWORD})
        if answer.status == 401:
            return False
        if answer.status != 200:
            raise SystemExit(f"\n{self.first_name} can't sign in: {answer.content.decode(errors='replace')}")
        self.token, self.user = answer.json["access_token"], answer.json["user"]
        return True

    def _verify_email(self) -> None:
        if not self.mails():
            wait_for(self.mails, f"the mail with {self.first_name}'s code", 20)
        code = next(found[0] for mail in reversed(self.mails()) if (found := CODE.search(mail["text"])))
        body = {"email": self.email, "code": code}
        if self.request("POST", "/auth/verify-email", body).status != 204:
            # The code was an old one: a newer is a mail away.
            before = len(self.mails())
            self.ask("POST", "/auth/resend-code", {"email": self.email})
            wait_for(lambda: len(self.mails()) > before, f"a new code for {self.first_name}", 20)
            code = next(found[0] for mail in reversed(self.mails()) if (found := CODE.search(mail["text"])))
            self.ask("POST", "/auth/verify-email", body | {"code": code})

    def account(self) -> Any:
        """Their dollar account, opened where there is none."""
        known = [each for each in self.ask("GET", "/accounts")["data"] if each["currency"] == "USD" and each["default"]]
        return known[0] if known else self.ask("POST", "/accounts", {"currency": "USD", "name": "Everyday"}, key="demo")

    def fund(self, amount: int) -> None:
        """Brings money in from their card, once a run; waits until it is there."""
        cards = self.ask("GET", "/cards")["data"]
        if not cards:
            body = {"number": self.card, "exp_month": 12, "exp_year": 2039, "cvv": "737"}
            cards = [
                self.ask("POST", "/cards", body | {"holder_name": f"{self.first_name} {self.last_name}"}, key="demo")
            ]
        body = {"account_id": self.account()["id"], "amount": amount, "currency": "USD"}
        deposit = self.ask("POST", "/deposits", body | {"source": {"card_id": cards[-1]["id"]}}, key="demo")["id"]
        wait_for(lambda: self.transfer(deposit)["status"] == "completed", "the deposit", 200)

    def transfer(self, transfer_id: str) -> Any:
        """A transfer of theirs."""
        return self.ask("GET", f"/transfers/{transfer_id}")

    def by_key(self, key: str) -> str | None:
        """The transfer that an Idempotency-Key of theirs was used for."""
        found = self.ask("GET", f"/transfers?idempotency_key={key}")["data"]
        return found[0]["id"] if found else None

    def notices(self, transfer_id: str) -> list[Any]:
        """What their inbox says of a transfer."""
        return [each for each in self.ask("GET", "/notifications?limit=100")["data"] if each["resource"] == transfer_id]

    def mails(self) -> list[dict[str, Any]]:
        """What was mailed to them, oldest first."""
        return [mail for mail in inbox.messages(self.run) if mail["to"] == self.email]


def ada_and_bob(run: Run) -> tuple[Customer, Customer]:
    """The two, not signed in yet."""
    ada = Customer(run, "ada@example.com", "Ada", "Lovelace", "4242424242424242")
    bob = Customer(run, "bob@example.com", "Bob", "Babbage", "5555555555554444")
    return ada, bob


def wait_for(condition: Callable[[], Any], what: str, seconds: float) -> None:
    """Waits for something that comes by itself. Raises SystemExit when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"\nWaited {seconds:.0f} s for {what}, in vain: see the logs, and make verify")
        time.sleep(0.1)
