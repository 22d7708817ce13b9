"""The customers Ada and Bob, whom every run has. They are registered over HTTP and found again the next time."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.settings import Run
from tools import mails
from tools.http import Answer, send

PASSWORD = "four blue wagons roll uphill"  # noqa: S105 (the demo prints it)
PATIENCE_SECONDS = 60
_SILENT_SECONDS = 2
CODE = re.compile(r"\b[0-9]{6}\b")


@dataclass
class Customer:
    """A customer and their access token."""

    run: Run
    email: str
    first_name: str
    last_name: str
    card: str
    token: str = ""
    user: Mapping[str, Any] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Send one request to the API. Raises SystemExit if there is no answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            return send(method, self.run.api_url + path, body=body, headers=headers)
        except OSError as error:
            raise SystemExit(f"\nThere is no answer from {self.run.api_url} ({error}). Run make up.") from error

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send a request and return the body. Raises SystemExit if the answer is an error."""
        answer = self.request(method, path, body, key=key)
        if answer.status >= 400:
            raise SystemExit(
                f"\n{method} {path} was answered {answer.status}: {answer.content.decode(errors='replace')}"
            )
        return answer.json if answer.content else None

    def sign_in(self) -> bool:
        """Sign in. Register and verify the email address first, if necessary. Return whether the customer is new."""
        new = not self._login()
        if new:
            body = {
                "email": self.email,
                "password": PASSWORD,
                "first_name": self.first_name,
                "last_name": self.last_name,
            }
            self.call("POST", "/auth/register", body)
            self._login()
        if not self.user["email_verified"]:
            self._verify_email(new=new)
            self._login()
        return new

    def _login(self) -> bool:
        answer = self.request("POST", "/auth/login", {"email": self.email, "password": PASSWORD})
        if answer.status == 401:
            return False
        if answer.status != 200:
            raise SystemExit(f"\n{self.first_name} cannot sign in: {answer.content.decode(errors='replace')}")
        self.token, self.user = answer.json["access_token"], answer.json["user"]
        return True

    def _verify_email(self, *, new: bool) -> None:
        """Verify the email address by the newest mailed code. Ask for another if there is none or it is too old."""
        if new:
            wait_for(self.mails, f"the mail with {self.first_name}'s code", PATIENCE_SECONDS)
        body = {"email": self.email}
        if self.mails():
            answer = self.request("POST", "/auth/verify-email", body | {"code": self._newest_code()})
            if answer.status == 204:
                return
        before = len(self.mails())
        self.call("POST", "/auth/resend-code", body)
        wait_for(lambda: len(self.mails()) > before, f"a new code for {self.first_name}", PATIENCE_SECONDS)
        self.call("POST", "/auth/verify-email", body | {"code": self._newest_code()})

    def _newest_code(self) -> str:
        return next(found[0] for mail in reversed(self.mails()) if (found := CODE.search(mail["text"])))

    def account(self) -> Any:
        """Return the default dollar account. Open one if there is none."""
        known = [
            each for each in self.call("GET", "/accounts")["data"] if each["currency"] == "USD" and each["default"]
        ]
        return (
            known[0] if known else self.call("POST", "/accounts", {"currency": "USD", "name": "Everyday"}, key="demo")
        )

    def fund(self, amount: int) -> None:
        """Deposit money from the card, once per run, and wait until it is completed."""
        cards = self.call("GET", "/cards")["data"]
        if not cards:
            body = {"number": self.card, "exp_month": 12, "exp_year": 2039, "cvv": "737"}
            cards = [
                self.call("POST", "/cards", body | {"holder_name": f"{self.first_name} {self.last_name}"}, key="demo")
            ]
        body = {"account_id": self.account()["id"], "amount": amount, "currency": "USD"}
        deposit = self.call("POST", "/deposits", body | {"source": {"card_id": cards[-1]["id"]}}, key="demo")["id"]
        wait_for(lambda: self.transfer(deposit)["status"] == "completed", "the deposit", 200)

    def transfer(self, transfer_id: str) -> Any:
        """Return a transfer."""
        return self.call("GET", f"/transfers/{transfer_id}")

    def by_key(self, key: str) -> str | None:
        """Return the id of the transfer with an Idempotency-Key, if there is one."""
        found = self.call("GET", f"/transfers?idempotency_key={key}")["data"]
        return found[0]["id"] if found else None

    def notifications(self, transfer_id: str) -> list[Any]:
        """Return the notifications about a transfer."""
        return [
            each for each in self.call("GET", "/notifications?limit=100")["data"] if each["resource"] == transfer_id
        ]

    def mails(self) -> list[dict[str, Any]]:
        """Return the mails to the customer, oldest first."""
        return [mail for mail in mails.messages(self.run) if mail["to"] == self.email]


def ada_and_bob(run: Run) -> tuple[Customer, Customer]:
    """Return both customers, not yet signed in."""
    ada = Customer(run, "ada@example.com", "Ada", "Lovelace", "4242424242424242")
    bob = Customer(run, "bob@example.com", "Bob", "Babbage", "5555555555554444")
    return ada, bob


def wait_for(condition: Callable[[], Any], what: str, seconds: float) -> None:
    """Wait until a condition is true, and say what for. Raises SystemExit if it is not within `seconds`."""
    started, is_shown = time.monotonic(), False
    while not condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise SystemExit(f"\nWaited {seconds:.0f} s for {what}. See the logs in .remit/ and run make up again.")
        if waited > _SILENT_SECONDS and not is_shown:
            print(f"  waiting for {what} (up to {seconds:.0f} s) ...", flush=True)
            is_shown = True
        time.sleep(0.1)
