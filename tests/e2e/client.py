"""A client of the API that knows only the contract."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pyotp
from common import clock

from tools.http import Answer, send

PASSWORD = "correct horse battery staple"
SECRETS: dict[str, set[str]] = {"password": {PASSWORD}}
"""Secrets that clients have used, by kind. The platform must not store them."""


class Refused(AssertionError):
    """An answer other than the expected one."""


@dataclass
class Client:
    """A client of one deployment, with or without a token."""

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
        """Send one request. `key` is its Idempotency-Key."""
        sent = dict(headers or {})
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if key is not None:
            sent["Idempotency-Key"] = key
        target = self.url + path + (f"?{urlencode(query)}" if query else "")
        return send(method, target, body=body, headers=sent)

    def send_lines(self, method: str, path: str, body: Any, *lines: tuple[str, str]) -> Answer:
        """Send one request with these header lines after its own. A header may be on several lines."""
        content = dumps(body)
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        given = {name.lower() for name, _ in lines}
        target = urlsplit(self.url + path)
        connection = HTTPConnection(target.hostname or "", target.port, timeout=40)
        try:
            connection.putrequest(method, target.path)
            for name, value in (*(each for each in own.items() if each[0].lower() not in given), *lines):
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            response = connection.getresponse()
            headers = {name.lower(): [value] for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """Send a GET that must succeed, and return the body."""
        return expect(self.request("GET", path, query=query), 200)

    def post(self, path: str, body: Any = None, *, status: int, key: str | None = None) -> Any:
        """Send a POST that must be answered with `status`, and return the body."""
        return expect(self.request("POST", path, body, key=key), status)

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield everything in a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


class App:
    """An authenticator app, with its recovery codes. Each code is valid once."""

    def __init__(self, enrolment: Any) -> None:
        self.recovery_codes: list[str] = enrolment["recovery_codes"]
        self._totp = pyotp.TOTP(enrolment["secret"])
        self._last_step = 0
        SECRETS.setdefault("totp secret", set()).add(enrolment["secret"])
        SECRETS.setdefault("recovery code", set()).update(self.recovery_codes)

    def code(self) -> str:
        """Return a code of the previous, current or next time step, or a recovery code once all three are used."""
        now = self._totp.timecode(clock.now())
        step = max(self._last_step + 1, now - 1)
        if step > now + 1:
            return self.recovery_codes.pop()
        self._last_step = step
        return self._totp.generate_otp(step)


@dataclass
class Person(Client):
    """A user of the platform, and their client."""

    email: str = ""
    user_id: str = ""
    first_name: str = ""
    last_name: str = ""
    refresh_token: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    app: App | None = None

    def login(self) -> Any:
        """Sign in, with a code of the authenticator app if there is one, and keep the tokens."""
        granted = self.post("/auth/login", {"email": self.email, "password": PASSWORD}, status=200)
        if self.app:
            answer = {"challenge_id": granted["challenge_id"], "code": self.app.code()}
            granted = self.post("/auth/login/verify", answer, status=200)
        return self._keep(granted)

    def reauthenticate(self) -> Any:
        """Prove the password again in the same session, and keep the tokens."""
        code = {"code": self.app.code()} if self.app else {}
        return self._keep(self.post("/auth/reauthenticate", {"password": PASSWORD, **code}, status=200))

    def add_app(self) -> App:
        """Make an authenticator app the second factor."""
        app = App(self.post("/auth/totp", status=201))
        self.post("/auth/totp/confirm", {"code": app.code()}, status=204)
        self.app = app
        return app

    def refresh(self) -> Any:
        """Rotate the tokens."""
        return self._keep(self.post("/auth/refresh", {"refresh_token": self.refresh_token}, status=200))

    def _keep(self, tokens: Any) -> Any:
        self.token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        SECRETS.setdefault("access token", set()).add(self.token)
        SECRETS.setdefault("refresh token", set()).add(self.refresh_token)
        return tokens

    def open_account(self, currency: str = "USD", **fields: Any) -> str:
        """Open an account and return its id."""
        account: str = self.post("/accounts", {"currency": currency, **fields}, status=201)["id"]
        self.accounts.setdefault(currency, account)
        return account

    def link_card(self, number: str | None = None) -> str:
        """Link a card, by default one with a new number, and return its id."""
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
        """Deposit money from a card. Wait until it is completed, unless `wait` is false."""
        account = account or self.accounts["USD"]
        currency = next((code for code, known in self.accounts.items() if known == account), "USD")
        source = {"card_id": card or self.link_card()}
        body = {"account_id": account, "amount": amount, "currency": currency, "source": source}
        transfer: str = self.post("/deposits", body, status=202, key=new_key())["id"]
        if wait:
            until(lambda: self.get(f"/transfers/{transfer}")["status"] == "completed", what="the deposit is completed")
        return transfer

    def transfer(self, destination: Mapping[str, str], amount: int, *, key: str | None = None, **fields: Any) -> Answer:
        """Send money, and return the answer whatever it is."""
        body = {"destination": destination, "amount": amount, "currency": "USD", **fields}
        return self.request("POST", "/transfers", body, key=key or new_key())

    def balance(self, account: str | None = None) -> int:
        """Return the available balance."""
        available: int = self.get(f"/accounts/{account or self.accounts['USD']}")["available"]
        return available


def expect(answer: Answer, status: int) -> Any:
    """Return the parsed body of an answer. Raises Refused if its status is not `status`."""
    if answer.status != status:
        raise Refused(f"{answer.status}, not {status}: {answer.content[:600]!r}")
    return answer.json if answer.content else None


def new_key() -> str:
    """Return a new Idempotency-Key."""
    return secrets.token_hex(16)


def card_number(ending: str = "", start: str = "424242") -> str:
    """Return a new card number of 16 digits with a valid check digit and the given last digits."""
    while True:
        number = (
            start
            + f"{secrets.randbelow(10 ** (16 - len(start) - len(ending))):0{16 - len(start) - len(ending)}}"
            + ending
        )
        if luhn(number):
            SECRETS.setdefault("card number", set()).add(number)
            return number


def other_code(code: str) -> str:
    """Return a code that differs from this one."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def phone_number() -> str:
    """Return a new phone number in E.164."""
    return f"+1415{secrets.randbelow(10**7):07}"


def luhn(number: str) -> bool:
    """Return whether the check digit of a card number is right."""
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[0::2] + [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]) % 10 == 0


def iban(ending: str, country: str = "DE", bank: str = "37040044") -> str:
    """Return a new valid IBAN with the given last four digits."""
    body = bank + f"{secrets.randbelow(10**6):06}" + ending
    number = int(body + "".join(str(int(letter, 36)) for letter in country) + "00")
    valid = f"{country}{98 - number % 97:02}{body}"
    SECRETS.setdefault("iban", set()).add(valid)
    return valid


def until(condition: Callable[[], Any], *, seconds: float = 15, what: str = "it happens") -> Any:
    """Wait until a condition is true, and return its value. Raises Refused if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Refused(f"Not within {seconds} s: {what}.")
        time.sleep(0.05)
    return found


def dumps(value: Any) -> bytes:
    """Encode a value as JSON."""
    return json.dumps(value).encode()
