from docsgen.reference import PAGES, TEMPLATES, render, stale_pages
from docsgen.reliability_page import reliability_page
from service.settings import Settings
from service.techniques import NAMES


def test_the_reference_pages_are_current() -> None:
    assert stale_pages() == [], "run `python -m docsgen.reference`"


def test_every_template_is_a_page() -> None:
    assert set(TEMPLATES.list_templates()) == PAGES.keys()


def test_every_setting_is_documented() -> None:
    page = render("settings.md")
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []
    assert all(f"`{name.upper()}`" in page for name in Settings.model_fields)


def test_every_technique_is_documented() -> None:
    page = render("techniques.md")
    assert all(f"| `{name}` |" in page for name in NAMES)


def test_every_recorded_figure_is_shown() -> None:
    page = render("reliability.md")
    assert all(figures in page for figures in reliability_page()["figures"].values())
