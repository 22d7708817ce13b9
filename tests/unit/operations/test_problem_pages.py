"""docs/problems has exactly one page for each problem code: what it means, why it happens, and what to do."""

from pathlib import Path

import pytest
from common.http.problems import PROBLEMS

PAGES = Path(__file__).parents[3] / "docs" / "problems"


def test_each_code_has_one_page() -> None:
    assert sorted(page.name for page in PAGES.iterdir()) == sorted(f"{code.replace('_', '-')}.md" for code in PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_page_has_the_title_and_status_of_its_code_and_all_sections(code: str) -> None:
    title, _, head, _, means, meaning, *rest = (PAGES / f"{code.replace('_', '-')}.md").read_text().splitlines()
    assert title == f"# {PROBLEMS[code].title}"
    assert head == f"`{code}`, status {PROBLEMS[code].status}"
    assert (means, bool(meaning)) == ("## What it means", True)
    assert rest[rest.index("## Why it happens") + 1]
    assert rest[rest.index("## What to do") + 1]
