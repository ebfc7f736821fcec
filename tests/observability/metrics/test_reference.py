"""The documented label values are those of the code."""

import re
from pathlib import Path
from typing import get_args

import pytest

from observability.cache.cache import LEVELS, RESULTS
from observability.cache.compression import ENCODINGS
from observability.celery.metrics import STATES
from observability.core.labels import OTHER
from observability.http.middleware import DISCONNECTED
from observability.http.websocket import FAILED, REJECTED, close_code_label
from observability.metrics.reference import LABELS
from observability.whatif.body_trials import PAGE_ROWS
from observability.whatif.transactions import Access
from observability.whatif.whatif import SIZES, TTLS_S

PACKAGE = Path(__file__).parents[3] / "observability"
CLOSE_CODES = {close_code_label(code) for code in range(6000)}
SOURCE = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))

VALUES = {
    "access": set(get_args(Access)),
    "entries": {str(size) for size in SIZES},
    "rows": {str(rows) for rows in PAGE_ROWS},
    "ttl": {"unlimited", *(f"{ttl_s:g}" for ttl_s in TTLS_S)},
    "code": {
        DISCONNECTED,
        OTHER,
        "timeout",
        "error",
        FAILED,
        REJECTED,
        *(label for label in CLOSE_CODES if not label.isdigit()),
    },
    "db_client_connection_state": {"used", "idle"},
    "encoding": {*ENCODINGS, OTHER},
    "generation": {"0", "1", "2"},
    "level": {*LEVELS, OTHER},
    "result": {*RESULTS, OTHER},
    "reused": {"true", "false"},
    "signal": set(re.findall(r"""counts\.\w+\(\s*"(\w+)\"""", SOURCE)),
    "state": {*STATES, OTHER},
    "status": {DISCONNECTED, OTHER, "1xx", "5xx"},
}


@pytest.mark.parametrize("label", VALUES)
def test_the_documented_values_of_a_label_are_those_of_the_code(label: str) -> None:
    assert set(re.findall(r"`(\w+)`", LABELS[label])) == VALUES[label]


def test_the_documented_close_codes_are_those_of_the_code() -> None:
    assert {label for label in CLOSE_CODES if label.isdigit()} == {str(code) for code in range(1000, 1016)}
    assert "from 1000 to 1015" in LABELS["code"]
    assert close_code_label(3000) == close_code_label(4999) == "application"
