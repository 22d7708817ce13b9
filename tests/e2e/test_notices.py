"""Notifications, mails and text messages about account security, and what is kept after a user is deleted."""

import json
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, SECRETS, Person, expect, new_key, until
from tests.e2e.platform import CODE, Platform
from tools import mails

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
ANOTHER_PASSWORD = "staple battery horse correct"


def notification(person: Person, kind: str) -> Any:
    """Wait for a notification of a kind, and return the newest."""
    return until(
        lambda: next((each for each in person.get("/notifications", limit=100)["data"] if each["kind"] == kind), None),
        what=f"the notification {kind} arrives",
    )


def mail(platform: Platform, person: Person, subject: str) -> Any:
    """Wait for the mail with a subject, and return it. Raises ValueError if there are several."""
    until(
        lambda: any(each["subject"] == subject for each in platform.mails(person)),
        what=f"'{subject}' is mailed to {person.email}",
    )
    (found,) = [each for each in platform.mails(person) if each["subject"] == subject]
    return found


def test_a_login_from_a_new_device_is_notified(platform: Platform) -> None:
    person = platform.person()
    body = {"email": person.email, "password": PASSWORD}
    expect(platform.client.request("POST", "/auth/login", body, headers={"User-Agent": FIREFOX}), 200)
    notified = notification(person, "new_login")
    assert "Firefox on Linux, IP address " in notified["body"]
    assert notified["resource"].startswith("ses_")
    until(lambda: person.get("/notifications")["unread_count"] == 1, what="there is one notification")


def test_a_changed_password_is_notified_and_mailed(platform: Platform) -> None:
    person = platform.person()
    SECRETS["password"].add(ANOTHER_PASSWORD)
    change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    person.post("/auth/password/change", change, status=204)
    assert notification(person, "password_changed")["resource"] == person.user_id
    assert "http" not in mail(platform, person, "Your password was changed")["text"]


def test_a_change_of_the_email_address_is_mailed_to_the_old_address(platform: Platform) -> None:
    person = platform.person()
    after = f"new-{person.email}"
    person.post("/auth/email/change", {"new_email": after, "password": PASSWORD}, status=202)
    warning = mail(platform, person, "Your email address is about to change")
    assert CODE.search(warning["text"]) is None
    assert after not in warning["text"]
    person.email = after
    person.post("/auth/email/confirm", {"code": platform.code(person)}, status=200)
    assert after not in notification(person, "email_changed")["body"]
    codes = [each["to"] for each in platform.mails(person) if CODE.search(each["text"])]
    assert codes == [after]


def test_a_phone_gets_its_code_by_text_message(platform: Platform) -> None:
    person = platform.person()
    phone = f"+49151{int(person.email[:6], 16) % 10**8:08}"
    person.post("/auth/phone", {"phone": phone}, status=202)

    def texts() -> list[Any]:
        return [each for each in mails.messages(platform.run) if each["to"] == phone]

    (text,) = until(texts, what="a text message is sent")
    assert (text["subject"], len(text["text"]) <= 160) == (None, True)
    code = CODE.search(text["text"])
    assert code is not None
    user = person.post("/auth/phone/confirm", {"code": code[0]}, status=200)
    assert (user["phone"], user["phone_verified"]) == (phone, True)


def test_wrong_pins_and_a_locked_pin_are_notified(platform: Platform) -> None:
    person, payee = platform.person(funds=100), platform.person()
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
    assert notification(person, "pin_locked")["resource"] == account
    assert notification(person, "wrong_pin")["resource"] == account
    mail(platform, person, "Your PIN is locked")


def test_changes_by_an_admin_are_mailed(platform: Platform) -> None:
    admin, person = platform.admin(), platform.person()
    path = f"/users/{person.user_id}"
    expect(admin.request("PATCH", path, {"status": "suspended"}), 200)
    mail(platform, person, "Your account was suspended")
    assert person.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD}).status == 403
    expect(admin.request("PATCH", path, {"status": "active"}), 200)
    mail(platform, person, "Your account is active again")
    expect(admin.request("PATCH", path, {"role": "arbiter"}), 200)
    assert "the role arbiter" in mail(platform, person, "Your role was changed")["text"]
    person.token = None
    person.login()
    assert notification(person, "account_suspended")["resource"] == person.user_id


@pytest.fixture
def deleted_user(platform: Platform) -> tuple[Person, Person, set[str]]:
    """A deleted user who has sent and received money, the other party, and the ids of the transfers."""
    ann, bob = platform.person(funds=500), platform.person()
    there = ann.transfer({"email": bob.email}, 500)
    back = bob.transfer({"user_id": ann.user_id}, 500)
    assert (there.status, back.status) == (201, 201)
    notification(bob, "transfer_received")
    notification(bob, "transfer_sent")
    expect(bob.request("DELETE", f"/users/{bob.user_id}"), 204)
    return bob, ann, {there.json["id"], back.json["id"]}


def test_no_name_or_address_of_a_deleted_user_is_kept(
    platform: Platform, deleted_user: tuple[Person, Person, set[str]]
) -> None:
    bob, ann, transfers = deleted_user
    sides = ("source", "destination")

    def has_no_name() -> bool:
        records = [platform.record(each) for each in transfers]
        theirs = [record[side] for record in records for side in sides if record[side]["owner_id"] == bob.user_id]
        assert len(theirs) == 2
        return all(side["display_name"] == "Deleted user" and "alias" not in side for side in theirs)

    until(has_no_name, seconds=30, what="the records do not name the user")
    until(
        lambda: [item["sk"] for item in platform.scan("notifications") if item["pk"] == f"U#{bob.user_id}"] == ["U"],
        what="the inbox is deleted",
    )
    until(
        lambda: not [item for item in platform.scan("mail") if item["pk"].startswith(f"W#{bob.user_id}#")],
        what="no mail to the user is waiting",
    )
    for context in ("notifications", "mail", "transfers"):
        assert bob.email not in json.dumps(platform.scan(context), default=repr), context
    about = [item for item in platform.scan("transfers") if transfers & {item.get("id"), item.get("transfer_id")}]
    assert len(about) == 4
    assert not [item for item in about if "outbox" in item or bob.last_name in json.dumps(item, default=repr)]

    seen = ann.get(f"/transfers/{min(transfers)}")
    assert (seen["destination"]["display_name"], seen["destination"]["alias"]) == ("Deleted user", None)
    platform.verify()
