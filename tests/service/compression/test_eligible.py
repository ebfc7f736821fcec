import pytest

from service.compression.eligible import eligibility, is_compressible


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"application/atom+xml", True),
        (b"text/html; charset=utf-8", True),
        (b"text/csv", True),
        (b"image/svg+xml", True),
        (b"text/event-stream", False),
        (b"image/png", False),
        (b"application/octet-stream", False),
        (b"application/vnd.apache.parquet", False),
        (b"application/zip", False),
        (b"", False),
    ],
)
def test_text_gets_smaller_and_packed_data_does_not(content_type: bytes, *, expected: bool) -> None:
    assert is_compressible(content_type) is expected


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (204, None),
        (304, None),
        (205, None),
        (103, None),
        (206, None),
        (200, (b"content-range", b"bytes 0-1/2")),
        (200, (b"content-encoding", b"gzip")),
        (200, (b"cache-control", b"public, No-Transform")),
        (200, (b"content-digest", b"sha-256=:x:")),
    ],
)
def test_what_must_stay_as_it_is(status: int, header: tuple[bytes, bytes] | None) -> None:
    assert not eligibility(status, [header] if header else []).may_change


def test_a_length_that_is_no_number_is_no_length() -> None:
    assert eligibility(200, [(b"content-length", b"12")]).size_bytes == 12
    assert eligibility(200, [(b"content-length", b"many")]).size_bytes is None
    assert eligibility(200, []).size_bytes is None
