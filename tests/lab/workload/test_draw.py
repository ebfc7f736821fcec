"""Draws: the same stream is the same requests, in the proportions of the weights; every value comes up."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lab.core.errors import BadTarget
from lab.workload.draw import PreparedWorkload, WorkloadRequest
from lab.workload.workload import Workload


def prepared(**fields: Any) -> PreparedWorkload:
    return PreparedWorkload(Workload.model_validate(fields), {})


def drawn(workload: PreparedWorkload, *, stream: int = 1, count: int = 60) -> list[WorkloadRequest]:
    return list(islice(workload.requests(stream, seed=1), count))


def targets(requests: list[WorkloadRequest]) -> list[str]:
    return [request.compiled.path.filled(request.values) for request in requests]


def test_a_stream_is_the_same_requests_and_another_one_is_not() -> None:
    workload = prepared(values={"q": list(range(50))}, requests=[{"path": "/a?q={q}"}, {"path": "/b"}])
    assert drawn(workload) == drawn(workload)
    assert targets(drawn(workload)) != targets(drawn(workload, stream=2))


def test_requests_come_in_the_proportions_of_their_weights() -> None:
    requests = [{"path": "/a", "weight": 3}, {"path": "/b", "weight": 2}, {"path": "/c", "weight": 1}]
    counts = Counter(targets(drawn(prepared(requests=requests))))
    assert [abs(counts[path] - expected) <= 1 for path, expected in (("/a", 30), ("/b", 20), ("/c", 10))] == [True] * 3


def test_every_value_is_drawn_equally_often() -> None:
    counts = Counter(targets(drawn(prepared(values={"q": [1, 2, 3]}, requests=[{"path": "/{q}"}]))))
    assert counts == {"/1": 20, "/2": 20, "/3": 20}


def test_the_cells_of_a_row_stay_together(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b\n1,one\n2,two\n3,three\n", "utf-8")
    found = set(targets(drawn(prepared(csv=tmp_path / "pairs.csv", requests=[{"path": "/{a}/{b}"}]))))
    assert found == {"/1/one", "/2/two", "/3/three"}


def test_the_values_of_a_login_belong_to_the_client(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user,password\nann,1\nbob,2\n", "utf-8")
    workload = prepared(
        clients=4,
        csv=tmp_path / "users.csv",
        login={"path": "/login", "form": {"user": "{user}", "password": "{password}"}},
        requests=[{"path": "/of/{user}"}],
    )
    by_client: dict[int, set[Any]] = {}
    for request in drawn(workload):
        by_client.setdefault(request.client.number, set()).add(request.values["user"])
    assert by_client == {0: {"ann"}, 1: {"bob"}, 2: {"ann"}, 3: {"bob"}}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "no rows"), (b"a,b\n", "no rows"), (b"a,b\n1\n", "row 2"), (b"a\n1,2\n", "row 2"), (b"a\n\xff\n", "UTF-8")],
)
def test_a_wrong_csv_file_is_rejected(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(BadTarget, match=complaint):
        prepared(csv=tmp_path / "x.csv", requests=[{"path": "/"}])


def test_a_token_is_a_value_only_after_a_login() -> None:
    with pytest.raises(BadTarget, match="no value named token"):
        prepared(requests=[{"path": "/", "headers": {"Authorization": "Bearer {token}"}}])
