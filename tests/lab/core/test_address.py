"""What is the address of a service, and what cannot be one."""

import pytest

from lab.core.address import Address, host_and_port
from lab.core.errors import BadTarget
from observability.doctor import Unreachable
from observability.doctor.service import Service

BROKEN = ("http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://", "ftp://127.0.0.1", "")


@pytest.mark.parametrize(
    "url",
    [
        *BROKEN,
        *("http://127.0.0.1:0", "http://b\u00fccher.example", "http://127.0.0.1/\u00fc", "http://user:word@127.0.0.1"),
        *("http://127 .0.0.1", "http://127.0.0.1/a b", "http://127.0.0.1/a\nb", "http://127.0.0.1/?a=b"),
    ],
)
def test_what_cannot_be_an_address_is_rejected(url: str) -> None:
    with pytest.raises(BadTarget, match="is not the address of a service"):
        Address.of(url)


def test_an_address_has_a_host_and_a_port() -> None:
    assert Address.of("http://[::1]:8001/api/") == Address("::1", 8001, prefix="/api")
    assert Address.of("https://example.com") == Address("example.com", 443, is_tls=True)


@pytest.mark.parametrize("url", BROKEN)
def test_the_doctor_rejects_a_url_that_cannot_be_one(url: str) -> None:
    with pytest.raises(Unreachable):
        Service(url)
    if url:
        with pytest.raises(Unreachable):
            Service("http://127.0.0.1", metrics_url=url)


def test_an_address_without_a_scheme_is_a_host_and_a_port() -> None:
    assert host_and_port("shop.example:9464") == ("shop.example", 9464)
    assert host_and_port("[::1]:9464") == ("[::1]", 9464)


@pytest.mark.parametrize(
    "text", ["", "9464", ":9464", "shop:", "shop:http", "shop:0", "shop:65536", "shop:²", "shop:٣", "shop:-1"]
)
def test_what_is_no_host_and_port_is_rejected(text: str) -> None:
    with pytest.raises(BadTarget, match="is not an address HOST:PORT"):
        host_and_port(text)
