"""What the template tells every function: one environment for all, and names that follow from the stack's."""

import os
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Config:
    """The environment, read once. Names of tables, functions and queues follow from `stack`."""

    stack: str
    environment: str
    public_url: str
    allowed_origin: str
    events_topic: str
    state_machines: str
    rail_queue: str
    mail_flush_queue: str
    token_keys: tuple[str, ...]
    """Keys of access tokens: the first signs, all verify."""
    data_key: str
    fingerprint_secret: str
    sender: str
    login_failures_per_email: int
    login_failures_per_address: int

    @property
    def is_local(self) -> bool:
        """Whether this is the AWS on somebody's machine."""
        return self.environment in ("local", "localstack")

    def table(self, room: str) -> str:
        """The name of a room's table."""
        return f"{self.stack}-{room}"

    def function(self, task: str) -> str:
        """The name of the function that runs a task, say `accounts-post`."""
        return f"{self.stack}-{task}"

    def state_machine(self, saga: str) -> str:
        """The ARN of a saga."""
        return f"{self.state_machines}{saga}"


@cache
def config() -> Config:
    """The configuration of this process. Raises KeyError where the template forgot a variable."""
    return Config(
        stack=os.environ["STACK"],
        environment=os.environ["ENVIRONMENT"],
        public_url=os.environ["PUBLIC_URL"],
        allowed_origin=os.environ["ALLOWED_ORIGIN"],
        events_topic=os.environ["EVENTS_TOPIC"],
        state_machines=os.environ["STATE_MACHINES"],
        rail_queue=os.environ["RAIL_QUEUE"],
        mail_flush_queue=os.environ["MAIL_FLUSH_QUEUE"],
        token_keys=tuple(os.environ["TOKEN_KEYS"].split()),
        data_key=os.environ["DATA_KEY"],
        fingerprint_secret=os.environ["FINGERPRINT_SECRET"],
        sender=os.environ["SENDER"],
        login_failures_per_email=int(os.environ["LOGIN_FAILURES_PER_EMAIL"]),
        login_failures_per_address=int(os.environ["LOGIN_FAILURES_PER_ADDRESS"]),
    )
