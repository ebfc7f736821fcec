"""How the service reads its environment."""

import pytest

from service.settings import ConfigurationError, Settings

NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = Settings.from_environ()
    monkeypatch.setenv(name, "")
    assert Settings.from_environ() == default


@pytest.mark.parametrize("address", ["[::1", "host:65536", "host:²", "host:-1", "host:port"])
@pytest.mark.parametrize(
    ("name", "scheme"),
    [("REDIS_URL", "redis"), ("EDGE_URL", "http"), ("WEATHER_URL", "https"), ("CELERY_BROKER_URL", "amqp")],
)
def test_an_address_that_cannot_be_is_rejected_by_the_name_of_its_setting(
    name: str, scheme: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{scheme}://{address}")
    with pytest.raises(ConfigurationError, match=f"{name}: .*port is a number from 0 to 65535"):
        Settings.from_environ()


@pytest.mark.parametrize("address", ["[::1]:6379", "host", "user:secret@host:1"])
def test_an_address_of_any_form_is_accepted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://{address}/0")
    assert Settings.from_environ().redis_url == f"redis://{address}/0"


def test_a_variable_with_a_value_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_SIZE", "7")
    assert Settings.from_environ().pool_size == 7
