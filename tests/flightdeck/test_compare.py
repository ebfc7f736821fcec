"""`flightdeck lab compare` from the command line: sources, exit codes, files, and no secret anywhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI, HTTPException, Request
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.measure.plan import Plan
from tests.servers.asgi import serving

SECRET: Final = "open-sesame-83"
SHORT: Final = Plan(
    open_loop_s=0.3,
    closed_loop_s=0,
    min_rounds=4,
    max_rounds=4,
    rate_per_s=40,
    warm_up_s=1,
    tolerated_lateness_s=10.0,  # the tests' machine may be busy
)


def service() -> FastAPI:
    api = FastAPI()

    @api.get("/items")
    async def items(request: Request) -> dict[str, str]:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            raise HTTPException(401)
        return {}

    @api.post("/items")
    async def create() -> dict[str, str]:
        return {}

    return api


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(service()) as started:
        yield started


@pytest.fixture
def compare(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Return a function that compares the service with itself, in short rounds."""
    monkeypatch.setattr("lab.measure.plan.experiment_plan", lambda **_: SHORT)
    monkeypatch.setenv("TOKEN", SECRET)

    def run(*options: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["lab", "compare", url, url, *options])
        return done.exit_code, done.stdout, done.stderr

    return run


AUTHORIZED: Final = ("--header", "Authorization: Bearer ${TOKEN}")


def test_a_comparison_writes_its_files_and_no_secret(compare: Callable[..., Any], tmp_path: Path) -> None:
    report, markdown = tmp_path / "compare.html", tmp_path / "compare.md"
    options = ("--request", "/items", *AUTHORIZED, "--fail-if", "p50_s > 9", "--report", str(report))
    code, out, err = compare(*options, "--markdown", str(markdown), "--json")
    assert code == 0, err
    result = json.loads(out)["techniques"]["comparison"]
    assert (result["is_valid"], result["conditions"][0]["outcome"]) == (True, "does not hold")
    assert result["sent"][0]["request"] == "GET /items"
    assert "p50_s > 9: does not hold" in markdown.read_text("utf-8")
    written = [report, report.with_suffix(".json"), markdown]
    assert SECRET not in "".join([out, err, *(path.read_text("utf-8") for path in written)])


def test_a_condition_that_holds_exits_with_3(compare: Callable[..., Any]) -> None:
    assert compare("--request", "/items", *AUTHORIZED, "--fail-if", "p50_s > 0.1")[0] == 3


def test_a_service_that_rejects_everything_is_not_measured(compare: Callable[..., Any]) -> None:
    code, out, _ = compare("--request", "/items")
    assert (code, "does not respond as expected" in out) == (1, True)
    assert "GET /items: 401" in out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--request", "POST /items"), "POST /items may change data: send it with --allow-writes"),
        ((), "name the requests with one of --request, --requests, --openapi, --access-log"),
        (("--request", "/items", "--header", f"Authorization: Bearer {SECRET}"), "has to come from the environment"),
        (("--request", "/items", "--header", "X-Key: ${MISSING}"), "set MISSING in the environment"),
        (("--request", "/items", "--fail-if", "p95 > 1"), "no metric named p95; there are: mean_s"),
        (("--requests", "nowhere.toml"), "nowhere.toml: No such file"),
        (("--access-log", "nowhere.log"), "nowhere.log: No such file"),
    ],
)
def test_what_cannot_be_sent_exits_with_2(
    compare: Callable[..., Any], options: tuple[str, ...], complaint: str
) -> None:
    code, out, err = compare(*options)
    assert code == 2
    assert complaint in err
    assert SECRET not in out + err


def test_an_openapi_document_is_read_from_the_service(compare: Callable[..., Any], url: str) -> None:
    code, out, err = compare("--openapi", f"{url}/openapi.json", *AUTHORIZED, "--json")
    assert code == 0, err
    assert [each["kind"] for each in json.loads(out)["techniques"]["comparison"]["sent"]] == ["GET /items"]
