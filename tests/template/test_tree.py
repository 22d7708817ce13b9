"""No tracked file contains a secret, a path of one machine or the address of a package index."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    "an AWS secret": r"(?i)aws_secret_access_key\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}\b",
    "a path of one machine": r"(?:^|[\s\"'(=:])/(?:home|root|Users)/[a-z]",
    "a package index": r"(?i)--(?:extra-)?index-url|pypi\.org/simple|files\.pythonhosted\.org",
}


def tracked_texts() -> list[tuple[str, str]]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = [(name, ROOT / name) for name in names if name != str(Path(__file__).relative_to(ROOT))]
    return [(name, path.read_text(errors="replace")) for name, path in files if path.is_file()]


@pytest.mark.parametrize("what", PATTERNS)
def test_the_tree_contains_none_of(what: str) -> None:
    texts = tracked_texts()
    assert len(texts) > 50
    found = [name for name, text in texts if re.search(PATTERNS[what], text, re.MULTILINE)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an AWS access key", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("a private key", "-----BEGIN EC PRIVATE" + " KEY-----"),
        ("a path of one machine", "cd /home" + "/ada"),
        ("a package index", "--index" + "-url x"),
    ],
)
def test_a_pattern_matches_an_example(what: str, text: str) -> None:
    assert re.search(PATTERNS[what], text)
