"""Write the dashboards: `python -m grafana.build [--check]`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import every_board

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = "grafana/dashboards"


def outputs() -> Iterator[tuple[str, str]]:
    """Yield the path, relative to the repository, and the text of each dashboard."""
    for board in every_board():
        text = json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True)
        yield f"{FOLDER}/{(board.uid or '').removeprefix('flightdeck-')}.json", text + "\n"


def outdated(root: Path = ROOT) -> list[str]:
    """Return the files that are not what the boards say now, and those that no board makes."""
    made = dict(outputs())
    wrong = [
        path for path, text in made.items() if not (root / path).exists() or (root / path).read_text("utf-8") != text
    ]
    return wrong + leftovers(root, set(made))


def leftovers(root: Path, made: set[str]) -> list[str]:
    """Return the dashboards that no board makes any more."""
    present = (str(path.relative_to(root)) for path in (root / FOLDER).glob("*.json"))
    return sorted(path for path in present if path not in made)


def main() -> None:
    """Write the files, or with `--check` exit 1 naming the ones that are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    if parser.parse_args().check:
        if wrong := outdated():
            sys.exit(f"not current: {', '.join(wrong)}; run `make dashboards`")
        return
    made = dict(outputs())
    for path, text in made.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    for path in leftovers(ROOT, set(made)):
        (ROOT / path).unlink()


if __name__ == "__main__":
    main()
