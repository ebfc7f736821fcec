"""SQL text without values: what a statement does, and to which tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2s
from typing import Final

from observability.core.labels import OTHER

SUMMARISED: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
"""Operations that a summary contains wherever they are; others only as the first word."""

MAX_SUMMARY: Final = 255
"""Characters, by the semantic conventions."""

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
    """The text between two parentheses, or the whole statement."""

    is_query: bool
    """False for the arguments of a function: `extract(year FROM moment)` has no table."""
    lists_tables: bool = False


def summary_of(words: Sequence[str]) -> str:
    """Return operations and tables in their order, as in `INSERT archive SELECT flights`."""
    return " ".join(_parts(words))[:MAX_SUMMARY]


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


OPERATIONS: Final = SUMMARISED | {
    *("VALUES", "CALL", "EXEC", "EXPLAIN", "ANALYZE", "VACUUM", "COPY", "TRUNCATE", "CREATE", "ALTER", "DROP", "SHOW"),
    *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "PRAGMA", "LOCK", "REFRESH", "LISTEN", "NOTIFY"),
}
"""The values of the label `operation`; any other first word is `other`."""

MAX_SQL: Final = 16_384
"""Characters of a statement that are parsed; a bulk insert with inline values can be megabytes."""

MAX_TEXT: Final = 4_096
"""Characters of the text in a span."""

_BACKSLASH_ESCAPES: Final = frozenset({"mysql", "mariadb"})
_LIST = re.compile(r"\(\s*\?(?:::[\w ]+)?(?:\s*,\s*\?(?:::[\w ]+)?)*\s*\)")
_ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")


@dataclass(frozen=True)
class Statement:
    """A statement without values, equal for executions with different values or list lengths."""

    text: str
    """The SQL with `?` for every value and placeholder, one `?` for a list of them, and no comments."""
    operation: str
    """One of `OPERATIONS`, or `other`."""
    summary: str
    """Operation and tables, as in `SELECT flights airlines`: the semantic conventions' `db.query.summary`."""

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that identify the text, equal in every process."""
        return blake2s(self.text.encode(errors="replace"), digest_size=8).hexdigest()


@lru_cache(maxsize=2048)
def statement_of(sql: str, dialect: str = "") -> Statement:
    """Return the statement without values; quoting depends on `dialect`, SQLAlchemy's name."""
    parts: list[str] = []
    words: list[str] = []
    for match in _token_pattern(dialect).finditer(sql[:MAX_SQL]):
        if match["value"] is not None:
            parts.append("?")
            words.append("?")
        elif match["gap"] is not None:
            parts.append(" ")
        else:
            parts.append(match[0])
            words.append(match[0])
    text = " ".join("".join(parts).split())
    text = _ROWS.sub("(?)", _LIST.sub("(?)", text))
    return Statement(text=text[:MAX_TEXT], operation=_operation(words), summary=summary_of(words))


@lru_cache(maxsize=16)
def _token_pattern(dialect: str) -> re.Pattern[str]:
    """Return the pattern of one token: a `gap` (space or comment), a `value`, or a name or sign.

    A literal that is not closed extends to the end, so that a truncated statement shows nothing of it.
    """
    mysql = dialect in _BACKSLASH_ESCAPES
    escaped = r"'(?:[^'\\]|''|\\.)*(?:'|\\?$)"
    values = [
        escaped if mysql else rf"[eE]{escaped}|'(?:[^']|'')*(?:'|$)",
        r'"(?:[^"\\]|""|\\.)*(?:"|\\?$)' if mysql else r"\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|$)",
        r"%\(\w+\)s|%s|\?|:[A-Za-z_]\w*|\$\d+|@[A-Za-z_]\w*",
        r"0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
    ]
    gap = r"\s+|--[^\n]*|/\*.*?(?:\*/|$)" + (r"|\#[^\n]*" if mysql else "")
    part = r"[^\W\d][\w$]*|`(?:[^`]|``)*(?:`|$)" + ("" if mysql else r'|"(?:[^"]|"")*(?:"|$)')
    return re.compile(rf"(?P<gap>{gap})|(?P<value>{'|'.join(values)})|(?:{part})(?:\.(?:{part}))*|::|.", re.DOTALL)


def _operation(words: list[str]) -> str:
    """Return the operation, after a common table expression that of the main statement."""
    common_table = bool(words) and words[0].upper() == "WITH"
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        first = word.upper()
        if first in OPERATIONS and (depth == 0 or not common_table):
            return first
        if not common_table and word != "(":
            break
    return OTHER
