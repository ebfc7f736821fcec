"""Generated files that are committed: written, or compared with what the sources produce now."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class GeneratedFiles:
    """The files that one command writes."""

    command: str
    outputs: Callable[[], Mapping[str, str]]
    """The text of each file by its path in the repository."""
    patterns: Sequence[str]
    """Globs of files that only this command writes: those it does not write any more are deleted."""

    def outdated(self, root: Path = ROOT) -> list[str]:
        """Return the files whose committed text differs from the generated one, and leftovers."""
        texts = self.outputs()
        differ = [
            path
            for path, text in texts.items()
            if not (root / path).exists() or (root / path).read_text("utf-8") != text
        ]
        return differ + self.leftovers(root, set(texts))

    def leftovers(self, root: Path, generated: set[str]) -> list[str]:
        """Return the files that match a pattern and are not generated."""
        present = {str(path.relative_to(root)) for pattern in self.patterns for path in root.glob(pattern)}
        return sorted(present - generated)

    def main(self) -> None:
        """Write the files, or with `--check` exit 1 naming those that are outdated."""
        parser = argparse.ArgumentParser(description=f"Write the files of `{self.command}`.")
        parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is outdated")
        if parser.parse_args().check:
            if outdated := self.outdated():
                sys.exit(f"outdated: {', '.join(outdated)}; run `{self.command}`")
            return
        texts = self.outputs()
        for path, text in texts.items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
        for path in self.leftovers(ROOT, set(texts)):
            (ROOT / path).unlink()
