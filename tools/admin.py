"""Makes a user an admin, by verified email address: `python -m tools.admin ada@example.com` (`make admin EMAIL=...`).

Over HTTP only an admin can grant a role, so the first admin is made here. On AWS, operators invoke the same function
(docs/operations.md).
"""

import json
import sys

from emulator.settings import STACK, Run

MESSAGES = {
    "granted": (
        "{email} ({user_id}) is now an admin. Their sessions have ended, so they must log in again.\n"
        "They must also set up a second factor: PATCH /v1/auth/me with second_factor=email, or POST /v1/auth/totp. "
        "Until they have logged in with it, they have a customer's rights."
    ),
    "not_found": "No user has verified {email}. Register and confirm the mailed code first (make mails shows it).",
    "suspended": "{email} ({user_id}) is suspended. Reactivate the user first.",
}


def grant(run: Run, email: str, role: str = "admin") -> dict[str, str]:
    """Grant a role to the user of a verified email address. Raises RuntimeError if the function fails."""
    request = {"email": email.strip().lower(), "role": role}
    reply = run.client("lambda").invoke(FunctionName=f"{STACK}-auth-grant-role", Payload=json.dumps(request).encode())
    answer: dict[str, str] = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise RuntimeError(f"{STACK}-auth-grant-role failed: {answer}")
    return answer


def main(arguments: list[str], run: Run) -> None:
    """Make a user an admin. Raises SystemExit with a message if that is not possible."""
    if len(arguments) != 1:
        raise SystemExit("Name one user: make admin EMAIL=ada@example.com")
    answer = grant(run, arguments[0])
    message = MESSAGES[answer["outcome"]].format(email=arguments[0], user_id=answer["user_id"])
    if answer["outcome"] != "granted":
        raise SystemExit(message)
    print(message)


if __name__ == "__main__":
    main(sys.argv[1:], Run.current())
