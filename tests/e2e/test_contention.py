"""Many concurrent transfers among few accounts create and lose no money."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.client import Person, expect, new_key
from tests.e2e.platform import Platform

THREADS, EACH = 8, 100


def test_eight_hundred_transfers_among_four_accounts(platform: Platform) -> None:
    people = platform.crowd(4, funds=15_000)
    chance = random.Random(20261121)
    plans = [[(*chance.sample(people, 2), chance.randint(1, 3000)) for _ in range(EACH)] for _ in range(THREADS)]

    def work(plan: list[tuple[Person, Person, int]]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for sender, receiver, amount in plan:
            answer = sender.transfer({"account_id": receiver.accounts["USD"]}, amount, key=new_key())
            if answer.status == 422:
                assert answer.json["code"] == "insufficient_funds"
            else:
                assert expect(answer, 201)["status"] == "completed"
            outcomes[str(answer.status)] += 1
        return outcomes

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = sum(pool.map(work, plans), Counter[str]())
    assert outcomes.total() == THREADS * EACH
    assert outcomes["201"] > THREADS * EACH / 2
    assert outcomes["422"] > 0  # the amounts are chosen so that accounts run out of money
    assert sum(person.balance() for person in people) == 4 * 15_000
    assert all(person.balance() >= 0 for person in people)
    platform.settle(seconds=90)
    platform.verify()
