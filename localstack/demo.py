"""Shows that the platform works: two customers and, the first time, a transfer told step by step; then how to go on."""

import json
import shlex
import sys

from localstack import story
from localstack.customers import PASSWORD, Customer, ada_and_bob, wait_for
from localstack.settings import Run
from localstack.tables import Tables, format_amount
from localstack.verify import show, verify

KEY = "demo-lunch"
AMOUNT = 1250
FUNDS = 100_000


def main(run: Run | None = None) -> int:
    """Seed the run, once; show the transfer, check the books, and say how to go on. The exit status."""
    run = run or Run.current()
    ada, bob = ada_and_bob(run)
    for customer in (ada, bob):
        if customer.sign_in():
            print(f"  {customer.first_name} has registered and verified {customer.email} by the code in the mail")
    for customer in (ada, bob):
        customer.fund(FUNDS)
    transfer_id = ada.by_key(KEY)
    if transfer_id:
        print(f"  Ada and Bob are here, and so is their transfer: {transfer_id}")
    else:
        transfer_id = _pay(ada, bob)
    print("\nThe books, from the tables alone (make verify)")
    sound = show(verify(run))
    _go_on(run, transfer_id)
    return 0 if sound else 1


def _pay(ada: Customer, bob: Customer) -> str:
    body = {"destination": {"email": bob.email}, "amount": AMOUNT, "currency": "USD", "description": "Lunch"}
    print(f"\nA transfer, over HTTP: Ada pays Bob {format_amount(AMOUNT, 'USD')}")
    print(f"  before  {_balances(ada, bob)}")
    print(f"  POST {ada.run.api_url}/transfers  Idempotency-Key: {KEY}")
    print(f"       {json.dumps(body)}")
    answer = ada.request("POST", "/transfers", body, key=KEY)
    if answer.status != 201:
        raise SystemExit(f"\nIt was answered {answer.status}: {answer.content.decode(errors='replace')}")
    transfer_id: str = answer.json["id"]
    print(f"  {answer.status}  {answer.json['status']}  Location: {answer.header('location')}")
    print(f"  after   {_balances(ada, bob)}")
    wait_for(lambda: ada.notices(transfer_id) and bob.notices(transfer_id), "the notifications", 30)
    subjects = {customer.email: _mail_of_transfer(customer) for customer in (ada, bob)}
    life = story.Life.of(transfer_id, Tables.read(ada.run))
    print("", *story.timeline(life), "", *story.journal(life), "", "Inboxes and mails", sep="\n")
    for customer in (ada, bob):
        for notice in customer.notices(transfer_id):
            print(f"  {customer.first_name}  inbox  {notice['title']}: {notice['body']}")
        print(f"  {customer.first_name}  mail   {subjects[customer.email]}")
    return transfer_id


def _mail_of_transfer(customer: Customer) -> str:
    def subjects() -> list[str]:
        return [mail["subject"] for mail in customer.mails() if "12.50" in mail["text"]]

    wait_for(subjects, f"the mail to {customer.first_name}", 30)
    return subjects()[-1]


def _balances(*customers: Customer) -> str:
    return ", ".join(f"{each.first_name} {format_amount(each.account()['available'], 'USD')}" for each in customers)


def _go_on(run: Run, transfer_id: str) -> None:
    login = shlex.quote(json.dumps({"email": "ada@example.com", "password": PASSWORD}))
    pay = shlex.quote(json.dumps({"destination": {"email": "bob@example.com"}, "amount": 250, "currency": "USD"}))
    as_json = "-H 'Content-Type: application/json'"
    print(
        f"""
Go on (Ada and Bob have one password: {PASSWORD})
  API={run.api_url}
  TOKEN=$(curl -s $API/auth/login {as_json} -d {login} \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s $API/accounts -H "Authorization: Bearer $TOKEN"
  curl -s $API/transfers -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)" {as_json} \\
    -d {pay}
  curl -s $API/notifications -H "Authorization: Bearer $TOKEN"
  make story ID={transfer_id}
  make inbox              make verify             make crash AT=post-after
The AWS endpoint is {run.aws_url}: aws --endpoint-url {run.aws_url} dynamodb list-tables"""
    )


if __name__ == "__main__":
    sys.exit(main())
