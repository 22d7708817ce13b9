"""Random operations, often on the same accounts, transfers and holds."""

from collections.abc import Sequence
from random import Random

from common.contracts.accounts import Expect, Post, Refuse, Release, Reserve, Settle

from tests.unit.accounts.ledger.model import Fold, Lapse, Operation, SetAlert, SetCredit, SetLimits, SetStatus, Wait
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, EURO_RAIL, EVA, FEES, RAIL, STRANGER, lapse_at, trf

CUSTOMERS = [ALICE, BOB, CAROL]
PAYERS = [*CUSTOMERS, RAIL, EVA, STRANGER]
PAYEES = [*CUSTOMERS, RAIL, FEES, EURO_RAIL, EVA, STRANGER]


def draw(random: Random, held: Sequence[str] = (), expected: Sequence[Expect] = ()) -> Operation:
    """Return a random operation. Most settlements and releases are of transfers in `held`.

    Only what is in `expected` is posted or refused as such, as sagas do.
    """
    transfer_id = trf(random.choice([random.randint(1, 6), random.randint(1, 60)]))
    hold_id = trf(random.randint(101, 112))
    resolved = random.choice(held) if held and random.random() < 0.8 else hold_id
    payer, payee = random.sample(CUSTOMERS, 2)
    amount = random.randint(1, 200)
    expect = expectation(random)
    kinds: list[tuple[int, Operation]] = [
        (6, Post(transfer_id, payer, payee, amount, "USD", "lunch")),
        (4, Post(transfer_id, RAIL, payee, amount, "USD", "top-up")),
        (1, Post(transfer_id, payer, FEES, amount, "USD")),
        (1, _odd(random, transfer_id, amount)),
        (1, Refuse(transfer_id, random.choice(["declined", "failed"]), random.choice(["", "card_declined"]))),
        (4 if held else 8, Reserve(hold_id, payer, amount, "USD", "rent", _lapse_at(random))),
        (1, Reserve(hold_id, random.choice([EVA, STRANGER]), amount, "USD")),
        (
            6 if held else 1,
            Settle(resolved, random.choice([*CUSTOMERS, RAIL]), random.choice([None, amount, amount // 8 + 1])),
        ),
        (1, Settle(resolved, random.choice(PAYEES))),
        (2 if held else 1, Release(resolved)),
        (2 if held else 1, Lapse(resolved)),
        (2, SetStatus(random.choice(CUSTOMERS), random.choice(["active", "active", "frozen", "closed"]))),
        (3, _limits(random, payer)),
        (1, SetAlert(payer, random.choice([None, 100, 200, 300]))),
        (1, SetCredit(payer, random.choice([0, 100, 300]))),
        (3, expect),
        (4 if expected else 0, end_expectation(random, random.choice(expected or [expect]))),
        (2, Wait(random.choice([1, 1, 2, 5]))),
        (3, Fold(RAIL, random.choice([(0, 1), (0, 1), (0,), (1,)]))),
        (1, Fold(FEES, (0, 1))),
    ]
    weights = [weight for weight, _ in kinds]
    return random.choices([operation for _, operation in kinds], weights)[0]


def expectation(random: Random) -> Expect:
    """Return a random expectation. Those of a transfer are all of one account."""
    number = random.randint(301, 312)
    return Expect(trf(number), CUSTOMERS[number % len(CUSTOMERS)], random.randint(1, 200), "USD")


def end_expectation(random: Random, expect: Expect) -> Post | Refuse:
    """Return the posting of money that was expected, or its refusal."""
    if random.random() < 0.4:
        return Refuse(expect.transfer_id, "declined", "card_declined", expecting_account_id=expect.account_id)
    rail = random.choice([RAIL, RAIL, EURO_RAIL])
    return Post(expect.transfer_id, rail, expect.account_id, expect.amount, "USD", "top-up", is_expected=True)


def concurrent_operation(random: Random, operation: Operation, held: Sequence[str]) -> Operation:
    """Return what another writer does meanwhile: often to the same accounts, hold or pending credits, or the same."""
    if random.random() < 0.3:
        return draw(random, held)
    candidates: list[Operation] = [operation]
    match operation:
        case Expect(account_id=account_id):
            candidates += [
                SetStatus(account_id, "closed"),
                Post(trf(random.randint(1, 60)), RAIL, account_id, 5, "USD"),
            ]
        case (
            Post(transfer_id=transfer_id, destination_account_id=account_id, is_expected=True)
            | Refuse(transfer_id=transfer_id, expecting_account_id=account_id)
        ) if account_id:
            expect = Expect(transfer_id, account_id, random.randint(1, 200), "USD")
            candidates += [expect, end_expectation(random, expect), SetStatus(account_id, "closed")]
        case Post(transfer_id=transfer_id, source_account_id=source, destination_account_id=destination):
            number, amount = trf(random.randint(1, 60)), random.randint(1, 200)
            third = random.choice([name for name in (*CUSTOMERS, RAIL) if name not in (source, destination)])
            candidates += [Post(number, source, third, amount, "USD"), Post(number, third, destination, amount, "USD")]
            candidates += [Refuse(transfer_id, "failed"), SetStatus(source, "frozen"), SetStatus(destination, "closed")]
            candidates += [_limits(random, source), SetAlert(source, 200), SetCredit(source, 100), Wait(1)]
        case Reserve(transfer_id=transfer_id, account_id=account_id):
            candidates += [Release(transfer_id), SetStatus(account_id, "frozen")]
            candidates += [_limits(random, account_id), SetAlert(account_id, 200), SetCredit(account_id, 0), Wait(1)]
            candidates += [Reserve(trf(random.randint(101, 112)), account_id, random.randint(1, 200), "USD")]
        case Settle(transfer_id=transfer_id) | Release(transfer_id=transfer_id) | Lapse(transfer_id=transfer_id):
            candidates += [Release(transfer_id), Settle(transfer_id, random.choice(CUSTOMERS), random.randint(1, 60))]
            candidates += [Lapse(transfer_id)]
        case SetLimits(account_id=account_id) | SetAlert(account_id=account_id) | SetCredit(account_id=account_id):
            candidates += [_limits(random, account_id), SetAlert(account_id, 100), SetStatus(account_id, "frozen")]
            candidates += [Post(trf(random.randint(1, 60)), account_id, RAIL, random.randint(1, 200), "USD")]
        case Fold(account_id=account_id):
            candidates += [
                Post(trf(random.randint(1, 60)), RAIL, random.choice(CUSTOMERS), 5, "USD"),
                Fold(account_id, (0, 1)),
            ]
    return random.choice([each for each in candidates if _is_about_customers(each)] or [operation])


def _limits(random: Random, account_id: str) -> SetLimits:
    return SetLimits(account_id, random.choice([None, 100, 150, 300]), random.choice([None, 200, 400]))


def _lapse_at(random: Random) -> str:
    return random.choice(["", lapse_at(random.randint(0, 12))])


def _odd(random: Random, transfer_id: str, amount: int) -> Post:
    """Return a posting that is refused in most cases."""
    source = random.choice(PAYERS)
    destination = random.choice([name for name in PAYEES if name != source])
    return Post(transfer_id, source, destination, amount, random.choice(["USD", "EUR"]))


def _is_about_customers(operation: Operation) -> bool:
    changes = SetStatus | SetLimits | SetAlert | SetCredit
    return not isinstance(operation, changes) or operation.account_id in CUSTOMERS
