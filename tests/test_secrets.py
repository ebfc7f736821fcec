"""The repository contains no credentials: every tracked file is searched for their patterns."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.servers.program import installed

ROOT: Final = Path(__file__).parents[1]
GENERATED: Final = {".xz", ".png", ".lock"}
PLANTED: Final = {"tests/observability/privacy/test_scrub.py"}
"""Made-up credentials that the scrubber must recognise."""
HASHES: Final = re.compile(r"^requirements.*\.txt$")

PATTERNS: Final = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{40,}"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "Stripe key": re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}"),
    "PyPI token": re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),
    "assigned secret": re.compile(
        r"""(?i)(?:secret|token|passw(?:or)?d|api_?key)["']?\s*[:=]\s*["'](?=[^"']*\d)(?=[^"']*[A-Za-z])[\w/+=-]{24,}["']"""
    ),
}

# Concatenated, so that this file can be searched like any other.
SAMPLES: Final = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "AWS key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "GitHub token": "ghp_" + "a1" * 18,
    "Slack token": "xoxb-" + "1234567890",
    "Google key": "AIza" + "a" * 35,
    "Stripe key": "sk_live_" + "a1" * 10,
    "PyPI token": "pypi-" + "a1" * 30,
    "JSON web token": "eyJ" + "a" * 12 + ".eyJ" + "b" * 12 + ".c",
    "assigned secret": "write_token = '" + "0123456789abcdef" * 2 + "'",
}


def tracked() -> list[Path]:
    listed = subprocess.run([installed("git"), "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and Path(name).suffix not in GENERATED and not HASHES.match(name)]


def test_no_tracked_file_contains_a_credential() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    found = [
        (str(file.relative_to(ROOT)), kind)
        for file in tracked()
        if file.is_file() and str(file.relative_to(ROOT)) not in PLANTED
        for kind, pattern in PATTERNS.items()
        if pattern.search(file.read_text("utf-8", errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_credential_of_each_kind_is_found(kind: str) -> None:
    assert PATTERNS[kind].search(SAMPLES[kind])
    assert not PATTERNS[kind].search("WRITE_TOKEN=  # choose one; docs/settings.md")
