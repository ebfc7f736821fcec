"""The HTML of the landing page, with inline style and script."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from service import __version__
from service.landing.contents import EXAMPLES, HEADERS, Link
from service.settings import Settings
from service.techniques import CATALOGUE

RESOURCES: Final = files("service.landing")


class Page:
    """Renders the landing page of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["with_code"] = _with_code
        self._template = environment.from_string((RESOURCES / "page.html.j2").read_text("utf-8"))
        self._css = (RESOURCES / "page.css").read_text("utf-8")
        self._js = (RESOURCES / "page.js").read_text("utf-8")

    @property
    def content_security_policy(self) -> str:
        """The policy that allows only the style and the script of this page, by their hashes."""
        return (
            f"default-src 'none'; style-src '{_digest(self._css)}'; script-src '{_digest(self._js)}'; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def render(self, *, base_url: str, links: Sequence[Link]) -> str:
        settings = self._settings
        techniques = [(technique, settings.uses(technique.name)) for technique in CATALOGUE]
        return self._template.render(
            arm=settings.arm,
            on=sum(is_on for _, is_on in techniques),
            techniques=techniques,
            examples=EXAMPLES,
            headers=[(header, header.technique is None or settings.uses(header.technique)) for header in HEADERS],
            header_names=[header.name for header in HEADERS],
            writes=bool(settings.write_token.get_secret_value()),
            has_links=bool(settings.grafana_url),
            links=links,
            base_url=base_url,
            version=__version__,
            css=self._css,
            js=self._js,
        )


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _with_code(text: str) -> Markup:
    """Return the text with its parts between backticks as `<code>` elements."""
    parts = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in parts)
