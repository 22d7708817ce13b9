"""Makes the user of a verified email an admin, as an operator does: `python -m localstack.admin ada@example.com`.

The first admin comes from here: no role can be had over HTTP but from an admin. On AWS it is the same function by IAM
(docs/operations.md).
"""

import json
import sys

from localstack.settings import STACK, Run

SAYS = {
    "granted": "{email} ({user_id}) is an admin. Their sessions have ended: the next login is an admin's.",
    "not_found": "Nobody has verified {email}. They register and confirm the mailed code (make inbox) first.",
    "suspended": "{email} ({user_id}) is suspended: reactivate them first.",
}


def grant(run: Run, email: str, role: str = "admin") -> dict[str, str]:
    """Gives the user of a verified email a role: `outcome` and `user_id`. Raises RuntimeError where the task fails."""
    request = {"email": email.strip().lower(), "role": role}
    reply = run.client("lambda").invoke(FunctionName=f"{STACK}-auth-grant-role", Payload=json.dumps(request).encode())
    answer: dict[str, str] = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise RuntimeError(f"{STACK}-auth-grant-role failed: {answer}")
    return answer


def main(arguments: list[str], run: Run) -> None:
    """The command. Exits with a message, and not with 0, where nobody was made an admin."""
    if len(arguments) != 1:
        raise SystemExit("Whom? make admin EMAIL=ada@example.com")
    answer = grant(run, arguments[0])
    said = SAYS[answer["outcome"]].format(email=arguments[0], user_id=answer["user_id"])
    if answer["outcome"] != "granted":
        raise SystemExit(said)
    print(said)


if __name__ == "__main__":
    main(sys.argv[1:], Run.current())
