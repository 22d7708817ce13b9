"""The ledger as it ought to be: plain numbers, one operation after another, no faults."""

from copy import deepcopy
from dataclasses import dataclass, field

from common.tasks import Post, Refuse, Release, Reserve, Settle

from tests.unit.accounts.ledger.books import Books


@dataclass(frozen=True)
class SetStatus:
    """What an owner or admin does to an account: an account with money or holds is not closed."""

    account_id: str
    status: str


@dataclass(frozen=True)
class Fold:
    """A folder that looks at these shards."""

    account_id: str
    shards: tuple[int, ...]


Operation = Post | Refuse | Reserve | Settle | Release | SetStatus | Fold
Answer = tuple[str, str, int]
"""Outcome, code, amount (0 for a posting); times are left to the books."""


@dataclass
class Account:
    currency: str
    credit_limit: int = 0
    status: str = "active"
    posted: int = 0
    held: int = 0


@dataclass
class Model:
    accounts: dict[str, Account]
    steps: dict[tuple[str, str], Answer] = field(default_factory=dict)
    holds: dict[str, tuple[str, str, int, str]] = field(default_factory=dict)
    """Status, account, amount (held, paid or given back), and the code of a decline."""

    def fork(self) -> "Model":
        return deepcopy(self)

    def state(self) -> object:
        return (
            {name: (account.posted, account.held, account.status) for name, account in self.accounts.items()},
            self.steps,
            self.holds,
        )

    @staticmethod
    def state_of(books: Books, accounts: dict[str, Account]) -> object:
        """The same state, as a ledger's items tell it."""
        balances = books.balances()
        holds = {}
        for transfer_id, hold in books.holds.items():
            amount = hold["settled_amount"] if hold["status"] == "settled" else hold["amount"]
            holds[transfer_id] = (hold["status"], hold["account_id"], amount, hold.get("code", ""))
        return (
            {
                name: (
                    *balances.get(name, (0, 0)),
                    books.heads[name]["status"] if ":" not in name else account.status,
                )
                for name, account in accounts.items()
            },
            {
                (marker["transfer_id"], marker["step"]): (marker["outcome"], marker["code"], 0)
                for marker in books.markers
            },
            holds,
        )

    def apply(self, operation: Operation) -> Answer:
        match operation:
            case Post():
                return self._post(operation)
            case Refuse():
                step = operation.transfer_id, operation.step
                return self.steps.setdefault(step, (operation.outcome, operation.code, 0))
            case Reserve():
                return self._reserve(operation)
            case Settle():
                return self._settle(operation)
            case Release():
                return self._release(operation)
            case SetStatus():
                account = self.accounts[operation.account_id]
                if account.status != "closed" and (
                    operation.status != "closed" or not (account.posted or account.held)
                ):
                    account.status = operation.status
                return account.status, "", 0
            case Fold():
                return "folded", "", 0

    def _post(self, post: Post) -> Answer:
        step = post.transfer_id, post.step
        if step not in self.steps:
            refusal = self._cannot_pay(post.source_account_id, post.amount, post.currency)
            refusal = refusal or self._cannot_be_paid(post.destination_account_id, post.currency)
            if not refusal:
                self.accounts[post.source_account_id].posted -= post.amount
                self.accounts[post.destination_account_id].posted += post.amount
            self.steps[step] = (*(refusal or ("posted", "")), 0)
        return self.steps[step]

    def _reserve(self, reserve: Reserve) -> Answer:
        if reserve.transfer_id not in self.holds:
            refusal = self._cannot_pay(reserve.account_id, reserve.amount, reserve.currency)
            if not refusal:
                self.accounts[reserve.account_id].held += reserve.amount
            status, code = ("declined", refusal[1]) if refusal else ("open", "")
            self.holds[reserve.transfer_id] = status, reserve.account_id, reserve.amount, code
        return self._hold(reserve.transfer_id)

    def _settle(self, settle: Settle) -> Answer:
        status, payer, held, _ = self.holds.get(settle.transfer_id, ("", "", 0, ""))
        if status != "open":
            return self._hold(settle.transfer_id)
        amount = held if settle.amount is None else settle.amount
        if amount > held or payer == settle.destination_account_id:
            return "ValueError", "", 0
        refusal = self._cannot_be_paid(settle.destination_account_id, self.accounts[payer].currency)
        if refusal:
            return "declined", refusal[1], 0
        self.accounts[payer].held -= held
        self.accounts[payer].posted -= amount
        self.accounts[settle.destination_account_id].posted += amount
        self.holds[settle.transfer_id] = "settled", payer, amount, ""
        return self._hold(settle.transfer_id)

    def _release(self, release: Release) -> Answer:
        status, account_id, amount, _ = self.holds.setdefault(release.transfer_id, ("released", "", 0, ""))
        if status == "open":
            self.accounts[account_id].held -= amount
            self.holds[release.transfer_id] = "released", account_id, amount, ""
        return self._hold(release.transfer_id)

    def _hold(self, transfer_id: str) -> Answer:
        if transfer_id not in self.holds:
            return "not_found", "", 0
        status, _, amount, code = self.holds[transfer_id]
        return ("held" if status == "open" else status), code, 0 if status == "declined" else amount

    def _cannot_pay(self, name: str, amount: int, currency: str) -> tuple[str, str] | None:
        account = self.accounts.get(name)
        if account is None:
            return "failed", "not_found"
        if account.currency != currency:
            return "failed", "currency_mismatch"
        if ":" in name:
            return None
        if account.status != "active":
            return "declined", "account_frozen"
        if account.posted - account.held + account.credit_limit < amount:
            return "declined", "insufficient_funds"
        return None

    def _cannot_be_paid(self, name: str, currency: str) -> tuple[str, str] | None:
        account = self.accounts.get(name)
        if account is None or account.status == "closed":
            return "failed", "payee_not_found"
        return ("failed", "currency_mismatch") if account.currency != currency else None
