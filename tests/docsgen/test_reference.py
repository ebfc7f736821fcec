from docsgen.reference import PAGES, stale_pages
from service.settings import Settings
from service.techniques import NAMES


def test_the_reference_pages_are_current() -> None:
    assert stale_pages() == [], "run `python -m docsgen.reference`"


def test_every_setting_is_documented() -> None:
    page = PAGES["settings.md"]()
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []
    assert all(f"`{name.upper()}`" in page for name in Settings.model_fields)


def test_every_technique_is_documented() -> None:
    page = PAGES["techniques.md"]()
    assert all(f"| `{name}` |" in page for name in NAMES)
