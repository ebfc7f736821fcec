"""`make vocabulary` finds every retired word and phrase, in prose and in identifiers."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.each import each

ROOT = Path(__file__).parents[2]
WORD = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["codespell"]["regex"]
RETIRED = [line.split("->")[0] for line in (ROOT / "docs/retired-words.txt").read_text("utf-8").splitlines()]


@each("entry", lambda: RETIRED)
def test_an_entry_of_the_dictionary_is_read_as_one_word(entry: str) -> None:
    assert re.findall(WORD, f"It {entry} here") == ["It", entry, "here"]


def test_the_dictionary_is_sorted_and_has_no_entry_twice() -> None:
    assert sorted(set(RETIRED)) == RETIRED


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("queue_wait_s", ["queue", "wait", "s"]),
        ("HTTPClient", ["HTTP", "Client"]),
        ("WRITE_TOKEN", ["WRITE", "TOKEN"]),
    ],
)
def test_an_identifier_is_checked_part_by_part(identifier: str, words: list[str]) -> None:
    assert re.findall(WORD, identifier) == words
