"""docs/problems has exactly one page for each code, and each says what the code is."""

from pathlib import Path

import pytest
from common.errors import PROBLEMS

PAGES = Path(__file__).parents[3] / "docs" / "problems"


def test_there_is_exactly_one_page_a_code() -> None:
    assert sorted(page.name for page in PAGES.iterdir()) == sorted(f"{code.replace('_', '-')}.md" for code in PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_page_says_what_the_code_is_and_what_to_do(code: str) -> None:
    title, _, head, _, means, meaning, *rest = (PAGES / f"{code.replace('_', '-')}.md").read_text().splitlines()
    assert title == f"# {PROBLEMS[code].title}"
    assert head == f"`{code}`, status {PROBLEMS[code].status}"
    assert (means, bool(meaning)) == ("## What it means", True)
    assert rest[rest.index("## What to do") + 1]
