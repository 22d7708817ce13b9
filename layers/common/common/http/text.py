"""The characters that names, titles and descriptions may contain, and names that imitate the product's.

People read this text in mails and notifications, and act on it: a name must not be invisible, must not change how the
text around it reads, and must not look as if the platform itself had written it.
"""

import unicodedata

from common.display import MAX_MARKS_PER_LETTER, is_visible

PRODUCT = "remit"
_NAME_PUNCTUATION = frozenset(" '\u2019-.,")
# Letters and digits that are drawn like those of the product's name.
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("1l|!\u0131\u03b9\u0456\u04cf\u0406", "i"),
        **dict.fromkeys("3\u03b5\u0435\u0454\u212e\u2107", "e"),
        **dict.fromkeys("7+\u03c4\u0442", "t"),
        **dict.fromkeys("\u043c\u03bc\u217f", "m"),
        **dict.fromkeys("\u0433\u1d26\ua75b", "r"),
    }
)


def visible(text: str) -> str:
    """Return `text` if every character can be seen, or is a space. Raises ValueError otherwise."""
    if not all(map(is_visible, text)):
        raise ValueError("must not contain invisible, bidirectional or control characters")
    return text


def person_name(text: str) -> str:
    """Return the name of a person in NFC, without surrounding spaces. Raises ValueError.

    Letters of any script, combining marks (at most two a letter), spaces, apostrophes (also the typographic one) and
    `- . ,`, with at least one letter.
    """
    name = unicodedata.normalize("NFC", visible(text)).strip()
    marks = letters = 0
    for each in name:
        kind = unicodedata.category(each)[0]
        if kind == "L":
            letters, marks = letters + 1, 0
        elif kind == "M":
            marks += 1
        elif each not in _NAME_PUNCTUATION:
            raise ValueError("must contain only letters, spaces and ' ’ - . ,")  # noqa: RUF001
        if marks > MAX_MARKS_PER_LETTER:
            raise ValueError("must not have more than two combining marks on a letter")
    if not letters:
        raise ValueError("must contain a letter")
    return name


def imitates_product(name: str) -> bool:
    """Return whether a name looks like the product's, whatever letters it is written with."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    letters = "".join(each for each in plain.casefold().translate(_LOOKALIKES) if each.isalnum())
    return letters.replace("rn", "m") == PRODUCT
