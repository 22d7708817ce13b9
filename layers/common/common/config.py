"""The configuration that the template gives a function, and the names that follow from the stack's name.

Each variable is read when it is asked for, because a context's functions get only the variables that they use.
"""

import os
from collections.abc import Mapping
from functools import cache


class Config:
    """The environment of a function. A property raises KeyError if the template does not set its variable."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    @property
    def stack(self) -> str:
        """The name of the root stack."""
        return self._variables["STACK"]

    @property
    def environment(self) -> str:
        """`local`, `localstack`, `dev` or `prod`."""
        return self._variables["ENVIRONMENT"]

    @property
    def is_local(self) -> bool:
        """Whether this is an AWS on somebody's machine."""
        return self.environment in ("local", "localstack")

    @property
    def public_url(self) -> str:
        """The URL by which clients reach the API, without the stage; the issuer of tokens."""
        return self._variables["PUBLIC_URL"]

    @property
    def allowed_origin(self) -> str:
        """The web origin that browsers may call from."""
        return self._variables["ALLOWED_ORIGIN"]

    @property
    def events_topic(self) -> str:
        """The ARN of the topic of events."""
        return self._variables["EVENTS_TOPIC"]

    @property
    def rail_queue(self) -> str:
        """The URL of the queue of rail answers."""
        return self._variables["RAIL_QUEUE"]

    @property
    def mail_flush_queue(self) -> str:
        """The URL of the queue of mail windows that end."""
        return self._variables["MAIL_FLUSH_QUEUE"]

    @property
    def token_keys(self) -> tuple[str, ...]:
        """The ids of the KMS keys of access tokens: the first signs, all verify."""
        return tuple(self._variables["TOKEN_KEYS"].split())

    @property
    def data_key(self) -> str:
        """The id of the KMS key that encrypts what has to be read again."""
        return self._variables["DATA_KEY"]

    @property
    def sender(self) -> str:
        """The verified address that mail is sent from."""
        return self._variables["SENDER"]

    @property
    def bcrypt_cost(self) -> int:
        """bcrypt's cost for passwords and PINs: 12 or more, except in the embedded emulator (ASVS 11.4.2)."""
        return int(self._variables["BCRYPT_COST"])

    @property
    def login_failures_per_email(self) -> int:
        """How many failed logins an hour one email may have, from all addresses."""
        return int(self._variables["LOGIN_FAILURES_PER_EMAIL"])

    @property
    def login_failures_per_address(self) -> int:
        """How many failed logins an hour one network address may have."""
        return int(self._variables["LOGIN_FAILURES_PER_ADDRESS"])

    @property
    def registrations_per_address(self) -> int:
        """How many users one network address may register in an hour."""
        return int(self._variables["REGISTRATIONS_PER_ADDRESS"])

    def table(self, context: str) -> str:
        """Return the name of a context's table."""
        return f"{self.stack}-{context}"

    def function(self, task: str) -> str:
        """Return the name of the function that serves a task, such as `accounts-post`."""
        return f"{self.stack}-{task}"

    def state_machine(self, saga: str) -> str:
        """Return the ARN of a saga."""
        return f"{self._variables['STATE_MACHINES']}{saga}"


@cache
def config() -> Config:
    """Return the configuration of this process."""
    return Config(os.environ)
