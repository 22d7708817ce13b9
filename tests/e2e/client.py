"""A client of the API as somebody writes it who has read the contract and nothing else."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from localstack.http import Answer, send

PASSWORD = "correct horse battery staple"
SECRETS: dict[str, set[str]] = {"password": {PASSWORD}}
"""What this client knew and nobody may keep, by kind."""


class Refused(AssertionError):
    """An answer that the test did not expect."""


@dataclass
class Client:
    """Speaks to one deployment, signed in or not."""

    url: str
    token: str | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request; `key` is its Idempotency-Key."""
        sent = dict(headers or {})
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if key is not None:
            sent["Idempotency-Key"] = key
        target = self.url + path + (f"?{urlencode(query)}" if query else "")
        return send(method, target, body=body, headers=sent)

    def get(self, path: str, **query: Any) -> Any:
        """The body of a GET that has to succeed."""
        return expect(self.request("GET", path, query=query), 200)

    def post(self, path: str, body: Any = None, *, status: int, key: str | None = None) -> Any:
        """The body of a POST that has to be answered with `status`."""
        return expect(self.request("POST", path, body, key=key), status)

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Everything in a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


@dataclass
class Person(Client):
    """A customer with an email address."""

    email: str = ""
    user_id: str = ""
    first_name: str = ""
    last_name: str = ""
    refresh_token: str = ""
    accounts: dict[str, str] = field(default_factory=dict)

    def login(self) -> Any:
        """Signs in and keeps the tokens."""
        return self._keep(self.post("/auth/login", {"email": self.email, "password": PASSWORD}, status=200))

    def refresh(self) -> Any:
        """Rotates the tokens."""
        return self._keep(self.post("/auth/refresh", {"refresh_token": self.refresh_token}, status=200))

    def _keep(self, tokens: Any) -> Any:
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        SECRETS.setdefault("access token", set()).add(self.token)
        SECRETS.setdefault("refresh token", set()).add(self.refresh_token)
        return tokens

    def open_account(self, currency: str = "USD", **fields: Any) -> str:
        """Opens an account and answers its id."""
        account: str = self.post("/accounts", {"currency": currency, **fields}, status=201)["id"]
        self.accounts.setdefault(currency, account)
        return account

    def link_card(self, number: str | None = None) -> str:
        """Links a card (a fresh number, unless one is given) and answers its id."""
        body = {
            "number": number or card_number(),
            "holder_name": f"{self.first_name} {self.last_name}",
            "exp_month": 12,
            "exp_year": 2039,
            "cvv": "737",
        }
        card: str = self.post("/cards", body, status=201)["id"]
        return card

    def deposit(self, amount: int, *, card: str | None = None, account: str | None = None, wait: bool = True) -> str:
        """Brings money in from a card and, unless told otherwise, waits until it is there."""
        account = account or self.accounts["USD"]
        currency = next((code for code, known in self.accounts.items() if known == account), "USD")
        source = {"card_id": card or self.link_card()}
        body = {"account_id": account, "amount": amount, "currency": currency, "source": source}
        transfer: str = self.post("/deposits", body, status=202, key=new_key())["id"]
        if wait:
            until(lambda: self.get(f"/transfers/{transfer}")["status"] == "completed", what="the deposit is there")
        return transfer

    def transfer(self, destination: Mapping[str, str], amount: int, *, key: str | None = None, **fields: Any) -> Answer:
        """Sends money; the answer as it came."""
        body = {"destination": destination, "amount": amount, "currency": "USD", **fields}
        return self.request("POST", "/transfers", body, key=key or new_key())

    def balance(self, account: str | None = None) -> int:
        """What is available."""
        available: int = self.get(f"/accounts/{account or self.accounts['USD']}")["available"]
        return available


def expect(answer: Answer, status: int) -> Any:
    """The parsed body of an answer that has to have `status`."""
    if answer.status != status:
        raise Refused(f"{answer.status}, not {status}: {answer.content[:600]!r}")
    return answer.json if answer.content else None


def new_key() -> str:
    """A fresh Idempotency-Key."""
    return secrets.token_hex(16)


def card_number(ending: str = "", start: str = "424242") -> str:
    """A Luhn-valid number of 16 digits that nobody has linked yet, with the last digits one asks for."""
    while True:
        number = (
            start
            + f"{secrets.randbelow(10 ** (16 - len(start) - len(ending))):0{16 - len(start) - len(ending)}}"
            + ending
        )
        if luhn(number):
            SECRETS.setdefault("card number", set()).add(number)
            return number


def phone_number() -> str:
    """A number in E.164 that nobody has given yet."""
    return f"+1415{secrets.randbelow(10**7):07}"


def luhn(number: str) -> bool:
    """Whether the check digit is right."""
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[0::2] + [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]) % 10 == 0


def iban(ending: str, country: str = "DE", bank: str = "37040044") -> str:
    """A valid German IBAN with the last four digits one asks for."""
    body = bank + f"{secrets.randbelow(10**6):06}" + ending
    number = int(body + "".join(str(int(letter, 36)) for letter in country) + "00")
    valid = f"{country}{98 - number % 97:02}{body}"
    SECRETS.setdefault("iban", set()).add(valid)
    return valid


def until(condition: Callable[[], Any], *, seconds: float = 15, what: str = "it happens") -> Any:
    """Waits for something that comes by itself, and answers it. Raises Refused when it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Refused(f"waited {seconds} s until {what}")
        time.sleep(0.05)
    return found


def dumps(value: Any) -> bytes:
    """JSON as most clients write it."""
    return json.dumps(value).encode()
