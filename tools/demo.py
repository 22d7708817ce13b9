"""Shows that the platform works: two customers, a transfer step by step, the invariants, and commands to go on with."""

import json
import shlex
import sys

from emulator.settings import Run
from tools import story
from tools.customers import PASSWORD, PATIENCE_SECONDS, Customer, ada_and_bob, wait_for
from tools.tables import Tables, format_amount
from tools.verify import show, verify

KEY = "demo-lunch"
AMOUNT = 1250
FUNDS = 100_000


def main(run: Run | None = None) -> int:
    """Make the customers and a transfer, once per run; verify the books; print what to try. Return the exit status."""
    run = run or Run.current()
    ada, bob = ada_and_bob(run)
    for customer in (ada, bob):
        if customer.sign_in():
            print(f"  {customer.first_name} registered and verified {customer.email} by the mailed code")
    for customer in (ada, bob):
        customer.fund(FUNDS)
    transfer_id = ada.by_key(KEY)
    if transfer_id:
        print(f"  Ada and Bob exist, and so does their transfer {transfer_id}")
    else:
        transfer_id = _pay(ada, bob)
    print("\nThe invariants, checked from the tables (make verify)")
    holds = show(verify(run))
    _print_commands(run, transfer_id)
    return 0 if holds else 1


def _pay(ada: Customer, bob: Customer) -> str:
    body = {"destination": {"email": bob.email}, "amount": AMOUNT, "currency": "USD", "description": "Lunch"}
    print(f"\nA transfer over HTTP: Ada pays Bob {format_amount(AMOUNT, 'USD')}")
    print(f"  before  {_balances(ada, bob)}")
    print(f"  POST {ada.run.api_url}/transfers  Idempotency-Key: {KEY}")
    print(f"       {json.dumps(body)}")
    answer = ada.request("POST", "/transfers", body, key=KEY)
    if answer.status != 201:
        raise SystemExit(f"\nThe transfer was answered {answer.status}: {answer.content.decode(errors='replace')}")
    transfer_id: str = answer.json["id"]
    print(f"  {answer.status}  {answer.json['status']}  Location: {answer.header('location')}")
    print(f"  after   {_balances(ada, bob)}")
    wait_for(
        lambda: ada.notifications(transfer_id) and bob.notifications(transfer_id), "the notifications", PATIENCE_SECONDS
    )
    subjects = {customer.email: _mail_of_transfer(customer) for customer in (ada, bob)}
    history = story.History.of(transfer_id, Tables.read(ada.run))
    print("", *story.timeline(history), "", *story.journal(history), "", "Notifications and mails", sep="\n")
    for customer in (ada, bob):
        for each in customer.notifications(transfer_id):
            print(f"  {customer.first_name}  inbox  {each['title']}: {each['body']}")
        print(f"  {customer.first_name}  mail   {subjects[customer.email]}")
    return transfer_id


def _mail_of_transfer(customer: Customer) -> str:
    def subjects() -> list[str]:
        return [mail["subject"] for mail in customer.mails() if "12.50" in mail["text"]]

    wait_for(subjects, f"the mail to {customer.first_name}", PATIENCE_SECONDS)
    return subjects()[-1]


def _balances(*customers: Customer) -> str:
    return ", ".join(f"{each.first_name} {format_amount(each.account()['available'], 'USD')}" for each in customers)


def _print_commands(run: Run, transfer_id: str) -> None:
    login = shlex.quote(json.dumps({"email": "ada@example.com", "password": PASSWORD}))
    pay = shlex.quote(json.dumps({"destination": {"email": "bob@example.com"}, "amount": 250, "currency": "USD"}))
    as_json = "-H 'Content-Type: application/json'"
    print(
        f"""
Try it (the password of Ada and Bob is: {PASSWORD})
  API={run.api_url}
  TOKEN=$(curl -s $API/auth/login {as_json} -d {login} \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s $API/accounts -H "Authorization: Bearer $TOKEN"
  curl -s $API/transfers -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)" {as_json} \\
    -d {pay}
  curl -s $API/notifications -H "Authorization: Bearer $TOKEN"
  make story ID={transfer_id}
  make mails              make verify             make crash AT=post-after
The AWS endpoint is {run.aws_url}: aws --endpoint-url {run.aws_url} dynamodb list-tables"""
    )


if __name__ == "__main__":
    sys.exit(main())
