"""The one-line summary of a statement, as the semantic conventions want it in `db.query.summary`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

SUMMARISED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
"""The operations that a summary names wherever they stand; others only as the first word."""

LONGEST_SUMMARY: Final = 255
"""Characters; the limit is the semantic conventions'."""

_TABLE_FOLLOWS: Final = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE"})
_NOT_A_TABLE: Final = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "IGNORE"})
_ENDS_TABLES: Final = frozenset({"WHERE", "ON", "USING", "SET", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "VALUES"})
_OTHER_MEANING: Final = {
    "UPDATE": {"FOR", "KEY", "DO", "ON"},  # FOR UPDATE, FOR NO KEY UPDATE, ON CONFLICT DO UPDATE, ON UPDATE CASCADE
    "DELETE": {"ON"},  # ON DELETE CASCADE
    "FROM": {"DISTINCT"},  # IS DISTINCT FROM
}


@dataclass
class _Group:
    """What stands between two parentheses, or the whole statement."""

    is_query: bool
    """False between the parentheses of a function, where `extract(year FROM moment)` names no table."""
    lists_tables: bool = False


def summary_of(words: Sequence[str]) -> str:
    """Return operations and tables in the order of the text, as in `INSERT archive SELECT flights`."""
    return " ".join(_parts(words))[:LONGEST_SUMMARY]


def _parts(words: Sequence[str]) -> Iterator[str]:
    upper = [word.upper() for word in words]
    common_tables = {upper[at - 1] for at, word in enumerate(upper) if at and word == "AS" and upper[0] == "WITH"}
    groups = [_Group(is_query=True)]
    table_expected = False
    for at, word in enumerate(upper):
        before = upper[at - 1] if at else ""
        after = upper[at + 1] if at + 1 < len(upper) else ""
        if before in _OTHER_MEANING.get(word, ()):
            continue
        if word == "(":
            groups.append(_Group(is_query=table_expected or after in SUMMARISED | {"WITH", "("}))
        elif word == ")":
            groups = groups[:-1] or [_Group(is_query=True)]
            table_expected = False
        elif word in SUMMARISED and after != "(":
            yield word
            table_expected = word == "UPDATE"
        elif word in _TABLE_FOLLOWS and groups[-1].is_query:
            table_expected = True
            groups[-1].lists_tables = word == "FROM"
        elif word == "," and groups[-1].lists_tables:
            table_expected = True
        elif word in _ENDS_TABLES:
            groups[-1].lists_tables = table_expected = False
        elif table_expected and word not in _NOT_A_TABLE:
            table_expected = False
            is_function = after == "(" and groups[-1].lists_tables
            if re.match(r"[^\W\d]|[\"`]", word) and word not in common_tables and not is_function:
                yield re.sub(r"[\"`]", "", words[at])
        elif at == 0 and re.fullmatch(r"[A-Z]+", word) and word != "WITH":
            yield word
