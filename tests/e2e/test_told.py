"""What people are told of their accounts' safety, by notification, mail and text message, and what is left of them."""

import json
from typing import Any

import pytest

from localstack import inbox
from tests.e2e.client import PASSWORD, SECRETS, Person, expect, new_key, until
from tests.e2e.world import CODE, World

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
ANOTHER_PASSWORD = "staple battery horse correct"


def notice(person: Person, kind: str) -> Any:
    """The newest notification of a kind that somebody has, once it is there."""
    return until(
        lambda: next((each for each in person.get("/notifications", limit=100)["data"] if each["kind"] == kind), None),
        what=f"{kind} is told",
    )


def mail(world: World, person: Person, subject: str) -> Any:
    """The mail with a subject that somebody got, once it is there; there is one."""
    until(
        lambda: any(each["subject"] == subject for each in world.mails(person)),
        what=f"'{subject}' is mailed to {person.email}",
    )
    (found,) = [each for each in world.mails(person) if each["subject"] == subject]
    return found


def test_a_sign_in_from_elsewhere_is_told(world: World) -> None:
    person = world.person()
    body = {"email": person.email, "password": PASSWORD}
    expect(world.client.request("POST", "/auth/login", body, headers={"User-Agent": FIREFOX}), 200)
    told = notice(person, "new_login")
    assert "Firefox on Linux, IP address " in told["body"]
    assert told["resource"].startswith("ses_")
    until(lambda: person.get("/notifications")["unread_count"] == 1, what="it is told once")


def test_a_changed_password_is_told_and_mailed(world: World) -> None:
    person = world.person()
    SECRETS["password"].add(ANOTHER_PASSWORD)
    change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    person.post("/auth/password/change", change, status=204)
    assert notice(person, "password_changed")["resource"] == person.user_id
    assert "http" not in mail(world, person, "Your password was changed")["text"]


def test_another_address_is_told_to_the_one_before(world: World) -> None:
    person = world.person()
    after = f"new-{person.email}"
    person.post("/auth/email/change", {"new_email": after, "password": PASSWORD}, status=202)
    told = mail(world, person, "Your email address is about to change")
    assert CODE.search(told["text"]) is None
    assert after not in told["text"]
    person.email = after
    person.post("/auth/email/confirm", {"code": world.code(person)}, status=200)
    assert after not in notice(person, "email_changed")["body"]
    codes = [each["to"] for each in world.mails(person) if CODE.search(each["text"])]
    assert codes == [after]


def test_a_phone_is_sent_its_code(world: World) -> None:
    person = world.person()
    phone = f"+49151{int(person.email[:6], 16) % 10**8:08}"
    person.post("/auth/phone", {"phone": phone}, status=202)

    def texts() -> list[Any]:
        return [each for each in inbox.messages(world.run) if each["to"] == phone]

    (text,) = until(texts, what="a text message is there")
    assert (text["subject"], len(text["text"]) <= 160) == (None, True)
    code = CODE.search(text["text"])
    assert code is not None
    user = person.post("/auth/phone/confirm", {"code": code[0]}, status=200)
    assert (user["phone"], user["phone_verified"]) == (phone, True)


def test_wrong_pins_and_the_lock_are_told(world: World) -> None:
    person, payee = world.person(funds=100), world.person()
    account = person.accounts["USD"]
    expect(person.request("PUT", f"/accounts/{account}/pin", {"pin": "739154"}), 204)
    to = {"account_id": payee.accounts["USD"]}
    assert person.transfer(to, 10).json["code"] == "pin_required"
    key = new_key()
    first = person.transfer(to, 10, key=key, pin="739154")
    assert first.status == 201
    for number in range(5):
        refused = person.transfer(to, 10, pin=f"{number:06}")
        assert (refused.status, refused.json["code"]) == (422, "invalid_pin")
        assert "transfer_id" not in refused.json
    assert person.transfer(to, 10, pin="739154").json["code"] == "pin_locked"
    for pin in ({}, {"pin": "000000"}):
        again = person.transfer(to, 10, key=key, **pin)
        assert (again.status, again.content) == (first.status, first.content), "a replay asks for no PIN"
    assert person.balance() == 90
    assert notice(person, "pin_locked")["resource"] == account
    assert notice(person, "wrong_pin")["resource"] == account
    mail(world, person, "Your PIN is locked")


def test_what_an_admin_does_is_mailed(world: World) -> None:
    admin, person = world.admin(), world.person()
    path = f"/users/{person.user_id}"
    expect(admin.request("PATCH", path, {"status": "suspended"}), 200)
    mail(world, person, "Your account was suspended")
    assert person.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD}).status == 403
    expect(admin.request("PATCH", path, {"status": "active"}), 200)
    mail(world, person, "Your account is active again")
    expect(admin.request("PATCH", path, {"role": "arbiter"}), 200)
    assert "the role arbiter" in mail(world, person, "Your role was changed")["text"]
    person.token = None
    person.login()
    assert notice(person, "account_suspended")["resource"] == person.user_id


@pytest.fixture
def left(world: World) -> tuple[Person, Person, set[str]]:
    """Somebody who sent and received money and has left, whom they sent it to, and the transfers."""
    ann, bob = world.person(funds=500), world.person()
    there = ann.transfer({"email": bob.email}, 500)
    back = bob.transfer({"user_id": ann.user_id}, 500)
    assert (there.status, back.status) == (201, 201)
    notice(bob, "transfer_received")
    notice(bob, "transfer_sent")
    expect(bob.request("DELETE", f"/users/{bob.user_id}"), 204)
    return bob, ann, {there.json["id"], back.json["id"]}


def test_of_whoever_leaves_no_name_and_no_address_stays(world: World, left: tuple[Person, Person, set[str]]) -> None:
    bob, ann, transfers = left
    sides = ("source", "destination")

    def forgotten() -> bool:
        records = [world.record(each) for each in transfers]
        theirs = [record[side] for record in records for side in sides if record[side]["owner_id"] == bob.user_id]
        assert len(theirs) == 2
        return all(side["display_name"] == "Deleted user" and "alias" not in side for side in theirs)

    until(forgotten, seconds=30, what="the records are pseudonymous")
    until(
        lambda: [item["sk"] for item in world.scan("notifications") if item["pk"] == f"U#{bob.user_id}"] == ["U"],
        what="the inbox is gone",
    )
    until(
        lambda: not [item for item in world.scan("mail") if item["pk"].startswith(f"W#{bob.user_id}#")],
        what="nothing waits to be mailed",
    )
    for room in ("notifications", "mail", "transfers"):
        assert bob.email not in json.dumps(world.scan(room), default=repr), room
    about = [item for item in world.scan("transfers") if transfers & {item.get("id"), item.get("transfer_id")}]
    assert len(about) == 4
    assert not [item for item in about if "outbox" in item or bob.last_name in json.dumps(item, default=repr)]

    seen = ann.get(f"/transfers/{min(transfers)}")
    assert (seen["destination"]["display_name"], seen["destination"]["alias"]) == ("Deleted user", None)
    world.verify()
