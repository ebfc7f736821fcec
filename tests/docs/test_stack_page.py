"""docs/stack.md agrees with the compose file, the checks and the configuration files."""

import re

import pytest

from lab.stack.verify import all_checks
from tests.deploy.stack_files import FILES, ROOT, environment, mebibytes, services

PAGE = (ROOT / "docs/stack.md").read_text("utf-8")


def test_every_published_port_is_listed_once_with_its_address() -> None:
    listed = dict(re.findall(r"\| http://localhost:(\d+) \| `(\w+)` \|", PAGE))
    ports = {name: port for name, port in environment().items() if name.endswith("_PORT")}
    assert {name: port for port, name in listed.items()} == ports


def test_every_published_port_is_named_in_the_environment() -> None:
    published = {port.split(":")[1] for one in services().values() for port in one.get("ports", ())}
    assert published == {port for name, port in environment().items() if name.endswith("_PORT")}


def test_every_file_that_no_test_starts_is_listed_with_the_version_that_runs() -> None:
    rows = dict(re.findall(r"^\| `([\w./-]+)` \| `([\w./:-]+)` \|", PAGE, re.MULTILINE))
    assert set(FILES.values()) <= set(rows)
    for path, image in rows.items():
        assert (ROOT / path).is_file()
        assert image in environment().values(), path


def test_the_table_of_memory_has_the_limits_of_the_containers_and_room_below_them() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) MB \| (\d+) MB \|$", PAGE, re.MULTILINE)
    assert len(rows) > 20
    for name, used, limit in rows:
        assert int(limit) == mebibytes(services()[name]["mem_limit"]), name
        assert int(used) <= 0.9 * int(limit), name


def test_the_page_names_the_number_of_checks() -> None:
    assert f"{len(all_checks())} checks passed" in PAGE


@pytest.mark.parametrize("symptom", re.findall(r"^\| `failed ([^`]+)`", PAGE, re.MULTILINE))
def test_a_symptom_is_printed_as_the_page_has_it(symptom: str) -> None:
    assert symptom in {f"{check.service} {check.description}" for check in all_checks()}
