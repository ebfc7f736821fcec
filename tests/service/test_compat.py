"""Private names of other libraries: in `service.compat` only, and each can be missing."""

import re
from pathlib import Path

import pytest
from kombu import Connection
from kombu.transport import filesystem

from service import compat
from service.exports.filesystem_transport import Transport

SERVICE = Path(compat.__file__).parent
PRIVATE = re.compile(
    r"""(?<![\w.])(?!self\.|cls\.|super\(\)\.)[a-z]\w*\._[a-z]\w*|super\(\)\._(?!put|queue_bind)[a-z]|import _[a-z]"""
)


def test_private_names_of_other_libraries_are_used_in_compat_only() -> None:
    found = [
        f"{path.relative_to(SERVICE)}: {line.strip()}"
        for path in SERVICE.rglob("*.py")
        if path != Path(compat.__file__)
        for line in path.read_text().splitlines()
        if PRIVATE.search(line)
    ]
    assert found == []


def test_without_the_private_name_of_kombu_exchanges_have_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"data_folder_in": "in", "data_folder_out": "in", "control_folder": "control"}
    folders = {name: str(tmp_path / folder) for name, folder in options.items()}
    with Connection(transport=Transport, transport_options=folders) as connection:
        channel = connection.channel()
        assert isinstance(channel, filesystem.Channel)
        with_name = compat.exchange_file(channel, "exports")
        monkeypatch.setattr(compat, "_HAS_EXCHANGE_FILE", False)
        monkeypatch.delattr(filesystem.Channel, "_exchange_file")
        without_name = compat.exchange_file(channel, "exports")

    assert without_name.resolve() == with_name.resolve()
    assert without_name.parent == tmp_path / "control"
