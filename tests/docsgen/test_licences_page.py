import re

from docsgen.licences_page import IMAGES, images, licences
from tests.each import each

ALLOWED = re.compile(r"MIT|BSD|Apache-2\.0|ISC|MPL-2\.0|PSF-2\.0|0BSD|Zlib|CC0-1\.0|HPND|ZPL-2\.1|Unlicense")
FOUND = licences()


@each("name", lambda: FOUND)
def test_every_package_may_be_used_and_passed_on_with_this_project(name: str) -> None:
    licence = FOUND[name][1]
    assert ALLOWED.search(licence), licence
    assert not re.search(r"GPL|SSPL|BUSL", licence), licence


def test_the_packages_that_everything_rests_on_are_listed() -> None:
    assert {"fastapi", "sqlalchemy", "prometheus-client", "celery"} <= FOUND.keys()


def test_every_image_of_the_stack_has_a_licence() -> None:
    assert len(images()) > 10
    assert images().keys() == IMAGES.keys()
