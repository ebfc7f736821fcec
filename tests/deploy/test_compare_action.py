"""The action that compares two commits: what it starts, compares, writes and stops."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.servers.program import installed

ROOT: Final = Path(__file__).parents[2]
ACTION: Final = ROOT / ".github/actions/compare"
SERVICE: Final = """\
import http.server, os, pathlib
pathlib.Path(os.environ["PIDS"]).open("a").write(f"{os.getpid()}\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"VERSION"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FLIGHTDECK: Final = """\
#!/usr/bin/env bash
shift 2
echo "$(curl -s "$1") $(curl -s "$2")" >"$RECORD"
printf '%s\\n' "${@:3}" >>"$RECORD"
while [ "$1" != --markdown ]; do shift; done
echo "| the table |" >"$2"
echo '{}'
exit "$STATUS"
"""


def git(repository: Path, *arguments: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    command = [installed("git"), "-C", str(repository), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Repository:
    """A service with two commits, whose responses are `one` and `two`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "repository"
        self.directory.mkdir()
        self.record, self.output, self.summary, self.pids = (
            directory / name for name in ("record", "output", "summary", "pids")
        )
        git(self.directory, "init", "--quiet")
        self.commits = [self._commit(version) for version in ("one", "two")]
        stub = directory / "flightdeck"
        stub.write_text(FLIGHTDECK, "utf-8")
        stub.chmod(0o755)
        self.environment = {
            "PATH": os.environ["PATH"],
            "FLIGHTDECK": str(stub),
            "BASE": self.commits[0],
            "HEAD": self.commits[1],
            "START": "exec python3 service.py",
            "REQUESTS": "compare.toml",
            "RUNNER_TEMP": str(directory),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RECORD": str(self.record),
            "PIDS": str(self.pids),
            "STATUS": "0",
            "READY_S": "20",
        }

    def _commit(self, version: str) -> str:
        (self.directory / "service.py").write_text(SERVICE.replace("VERSION", version), "utf-8")
        (self.directory / "compare.toml").write_text("", "utf-8")
        git(self.directory, "add", ".")
        git(self.directory, "commit", "--quiet", "--message", version)
        return git(self.directory, "rev-parse", "HEAD")

    def compare(self, **environment: str) -> subprocess.CompletedProcess[str]:
        for program in ("bash", "curl"):
            installed(program)
        return subprocess.run(
            [str(ACTION / "compare.sh")],
            cwd=self.directory,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def left_running(self) -> list[str]:
        pids = self.pids.read_text("utf-8").split() if self.pids.exists() else []
        return [pid for pid in pids if is_running(pid)]


def is_running(pid: str) -> bool:
    """Whether the process runs; one that has ended does not, although its parent may not have read its status."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_both_commits_run_and_are_compared_in_order(repository: Repository) -> None:
    done = repository.compare(
        INSTALL="touch installed", FAIL_IF="p95_s > 1.05\n\nthroughput_per_s < 0.95\n", OPTIONS="--quick --seed 2"
    )
    assert done.returncode == 0, done.stderr
    versions, *arguments = repository.record.read_text("utf-8").splitlines()
    assert versions == "one two"
    conditions = ["--fail-if", "p95_s > 1.05", "--fail-if", "throughput_per_s < 0.95"]
    assert arguments[-7:] == [*conditions, "--quick", "--seed", "2"]
    outputs = dict(line.split("=", 1) for line in repository.output.read_text("utf-8").splitlines())
    written = Path(outputs["markdown"]).read_text("utf-8")
    assert "| the table |" in written
    assert repository.summary.read_text("utf-8") == written
    assert repository.left_running == []
    assert git(repository.directory, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("status", ["1", "2", "3"])
def test_the_exit_code_is_that_of_the_comparison(repository: Repository, status: str) -> None:
    assert repository.compare(STATUS=status).returncode == int(status)
    assert repository.left_running == []


@pytest.mark.parametrize("start", ["exec python3 service.py", "python3 service.py; true"], ids=["itself", "a child"])
def test_a_service_that_ignores_the_signal_is_killed(repository: Repository, start: str) -> None:
    assert repository.compare(START=f"trap '' TERM; {start}", STOP_S="1").returncode == 0
    assert repository.left_running == []


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"INSTALL": "echo no such package; false"}, "no such package"),
        ({"START": "echo the port is on fire; exit 7"}, "the port is on fire"),
        ({"READY": "/", "START": "sleep 60", "READY_S": "1"}, "was not ready at /"),
    ],
    ids=["install", "start", "ready"],
)
def test_a_commit_that_does_not_start_is_said_with_its_log(
    repository: Repository, environment: dict[str, str], complaint: str
) -> None:
    done = repository.compare(**environment)
    assert done.returncode != 0
    assert complaint in done.stdout
    assert "::error::" in done.stdout
    assert repository.left_running == []


def test_inputs_reach_the_scripts_as_variables_only() -> None:
    steps = yaml.safe_load((ACTION / "action.yml").read_text("utf-8"))["runs"]["steps"]
    assert [step["run"] for step in steps if "${{" in step["run"]] == []


GH: Final = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
  *--paginate*) [ -z "$EARLIER" ] || echo "$EARLIER" ;;
  *) exit "$STATUS" ;;
esac
"""


@pytest.mark.parametrize(
    ("earlier", "status", "call"),
    [
        ("", "0", "--method POST repos/o/r/issues/7/comments"),
        ("41", "0", "--method PATCH repos/o/r/issues/comments/41"),
        ("", "1", "--method POST"),
    ],
    ids=["first", "again", "without permission"],
)
def test_a_pull_request_has_one_comment(tmp_path: Path, earlier: str, status: str, call: str) -> None:
    (tmp_path / "gh").write_text(GH, "utf-8")
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "table.md").write_text("| the table |\n", "utf-8")
    installed("bash")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "EARLIER": earlier,
        "STATUS": status,
        "MARKDOWN": str(tmp_path / "table.md"),
        "GITHUB_REPOSITORY": "o/r",
        "PULL_REQUEST": "7",
    }
    command = [str(ACTION / "comment.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert call in (tmp_path / "calls").read_text("utf-8").splitlines()[-1]
    assert ("::warning::no permission" in done.stdout) == (status == "1")
