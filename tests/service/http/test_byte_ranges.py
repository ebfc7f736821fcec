import pytest

from service.http.byte_ranges import satisfiable_ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-4", "bytes=0-4"),
        ("BYTES=0-4", "bytes=0-4"),
        ("bytes=5-", "bytes=5-99"),
        ("bytes=-5", "bytes=95-99"),
        ("bytes=-500", "bytes=0-99"),
        ("bytes=90-500", "bytes=90-99"),
        ("bytes=0-" + "9" * 5000, "bytes=0-99"),
        ("bytes=" + "0" * 5000 + "1-2", "bytes=1-2"),
        ("bytes=0-0, 10-10\t, -1", "bytes=0-0,10-10,99-99"),
        ("bytes=,0-4,,", "bytes=0-4"),
        ("bytes=0-4,100-", "bytes=0-4"),
        ("bytes=500-600,0-4,-0", "bytes=0-4"),
        ("items=0-4", None),
        ("items", None),
        ("", None),
        ("bytes =0-4", None),
        ("bytes=100-", "bytes=100-"),
        ("bytes=" + "9" * 5000 + "-", "bytes=100-"),
        ("bytes=-0", "bytes=100-"),
        ("bytes", "bytes="),
        ("bytes=", "bytes="),
        ("bytes=,", "bytes="),
        ("bytes=-", "bytes="),
        ("bytes=4", "bytes="),
        ("bytes=4-1", "bytes="),
        ("bytes=a-b", "bytes="),
        ("bytes=0-4,nonsense", "bytes="),
        ("bytes=0-4,9-8", "bytes="),
        ("bytes=0--4", "bytes="),
        ("bytes=+0-4", "bytes="),
        ("bytes=1_0-20", "bytes="),
        ("bytes=0 - 4", "bytes="),
        ("bytes=0-\xb2", "bytes="),
        ("bytes=\xa00-4", "bytes="),
        ("bytes=\u0661-\u0664", "bytes="),
    ],
)
def test_a_range_header_keeps_what_can_be_satisfied(header: str, expected: str | None) -> None:
    assert satisfiable_ranges(header, size_bytes=100) == expected


def test_an_empty_file_satisfies_no_range() -> None:
    assert satisfiable_ranges("bytes=0-", size_bytes=0) == "bytes=0-"
