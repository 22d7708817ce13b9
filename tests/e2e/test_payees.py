"""Looking up whom an email or a phone belongs to."""

from tests.e2e.client import Person, expect, phone_number
from tests.e2e.world import World


def look_up(person: Person, alias: str) -> tuple[int, str]:
    answer = person.request("GET", "/payees", query={"alias": alias})
    return answer.status, answer.json.get("display_name") or answer.json["code"]


def test_a_payer_sees_a_masked_name(world: World, ada: Person) -> None:
    payee = world.person()
    answer = ada.get("/payees", alias=f" {payee.email.upper()} ")
    assert answer == {"alias": payee.email, "display_name": f"{payee.first_name[0]}** {payee.last_name[0]}."}


def test_who_is_not_known_verified_and_active_is_not_found(world: World, ada: Person) -> None:
    admin, phone = world.admin(), phone_number()
    unverified, suspended = world.register(phone=phone), world.person()
    expect(admin.request("PATCH", f"/users/{suspended.user_id}", {"status": "suspended"}), 200)
    world.settle()
    for alias in ("nobody@example.com", unverified.email, phone, suspended.email):
        assert look_up(ada, alias) == (404, "not_found")
    for alias in ("", "ada", "4155550177", ada.user_id):
        assert look_up(ada, alias) == (400, "validation_failed")
    assert expect(ada.request("GET", "/payees"), 400)["code"] == "validation_failed"


def test_thirty_look_ups_an_hour(world: World) -> None:
    curious = world.person()
    # The hour may turn on the way, once.
    answers = [look_up(curious, curious.email if number % 2 else "nobody@example.com") for number in range(62)]
    limited = answers.index((429, "rate_limited"))
    assert limited in range(30, 61)
    refused = curious.request("GET", "/payees", query={"alias": curious.email})
    if refused.status == 429:
        assert 0 < int(refused.header("retry-after") or 0) <= 3600
