"""Names of people as the other side of a transfer sees them."""

DELETED_USER_NAME = "Deleted user"


def masked(name: str) -> str:
    """Return a display name for somebody who may only have guessed an alias, as GET /payees masks it: `A** L.`"""
    if name == DELETED_USER_NAME:
        return name
    first, _, initial = name.rpartition(" ")
    return f"{first[:1]}** {initial}"
