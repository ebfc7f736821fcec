"""What was found, as a table on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.stack.check import Finding


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print each claim and what was seen, then what to do about those that are wrong."""
    table = Table("", "service", "claim", "seen", box=None, pad_edge=False)
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("WRONG", "bold red")
        table.add_row(mark, *map(Text, (finding.part, finding.claim, finding.seen)))
    console.print(table)
    wrong = [finding for finding in findings if not finding.ok]
    console.print(f"\n{len(findings)} claims, {f'{len(wrong)} wrong' if wrong else 'all true'}", markup=False)
    if wrong and len(wrong) == len(findings):
        console.print("Nothing answers: make up starts the stack, docker compose ps says what runs.", markup=False)
        return
    for finding in wrong:
        console.print(f"{finding.part} {finding.claim} → {finding.fix}", markup=False)
