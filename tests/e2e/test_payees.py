"""Looking up the payee of an email address or phone number."""

from tests.e2e.client import Person, expect, phone_number
from tests.e2e.platform import Platform


def look_up(person: Person, alias: str) -> tuple[int, str]:
    answer = person.request("GET", "/payees", query={"alias": alias})
    return answer.status, answer.json.get("display_name") or answer.json["code"]


def test_a_payer_sees_the_masked_name_of_a_payee(platform: Platform, ada: Person) -> None:
    payee = platform.person()
    answer = ada.get("/payees", alias=f" {payee.email.upper()} ")
    assert answer == {"alias": payee.email, "display_name": f"{payee.first_name[0]}** {payee.last_name[0]}."}


def test_unknown_unverified_and_suspended_payees_are_not_found(platform: Platform, ada: Person) -> None:
    admin, phone = platform.admin(), phone_number()
    unverified, suspended = platform.register(phone=phone), platform.person()
    expect(admin.request("PATCH", f"/users/{suspended.user_id}", {"status": "suspended"}), 200)
    platform.settle()
    for alias in ("nobody@example.com", unverified.email, phone, suspended.email):
        assert look_up(ada, alias) == (404, "not_found")
    for alias in ("", "ada", "4155550177", ada.user_id):
        assert look_up(ada, alias) == (400, "validation_failed")
    assert expect(ada.request("GET", "/payees"), 400)["code"] == "validation_failed"


def test_a_user_has_thirty_look_ups_an_hour(platform: Platform) -> None:
    curious = platform.person()
    # A new hour may begin meanwhile, once.
    answers = [look_up(curious, curious.email if number % 2 else "nobody@example.com") for number in range(62)]
    limited = answers.index((429, "rate_limited"))
    assert limited in range(30, 61)
    refused = curious.request("GET", "/payees", query={"alias": curious.email})
    if refused.status == 429:
        assert 0 < int(refused.header("retry-after") or 0) <= 3600
