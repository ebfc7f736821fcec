"""An audit is clean only if the database was queried for every package."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLEAN: dict[str, Any] = {"name": "starlette", "version": "1.0", "vulns": []}
BAD: dict[str, Any] = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED: dict[str, Any] = {"name": "httpx", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "status", "printed"),
    [
        ([CLEAN], 0, "no known vulnerability in 1 packages"),
        ([CLEAN, BAD], 1, "jinja2 2.0: PYSEC-1"),
        ([CLEAN, SKIPPED], 2, "not queried for 1 of 2 packages"),
        ([SKIPPED, BAD], 1, "jinja2 2.0: PYSEC-1"),
        ([], 2, "NO RESULT"),
        (None, 2, "NO RESULT"),
    ],
    ids=["clean", "vulnerable", "skipped", "vulnerable and skipped", "nothing", "no report"],
)
def test_an_audit_is_clean_only_if_no_package_was_skipped(
    tmp_path: Path, packages: list[dict[str, Any]] | None, status: int, printed: str
) -> None:
    report = tmp_path / "report.json"
    if packages is not None:
        report.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    result = subprocess.run(
        [sys.executable, "-m", "docsgen.audit", str(report)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert (result.returncode, printed in result.stdout) == (status, True), result.stdout
