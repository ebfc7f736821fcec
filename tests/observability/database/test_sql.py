import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.database.sql import MAX_SQL, MAX_TEXT, statement_of


@pytest.mark.parametrize(
    ("dialect", "sql", "text"),
    [
        pytest.param(
            "sqlite", "SELECT * FROM t WHERE a = 'x' AND b=42", "SELECT * FROM t WHERE a = ? AND b=?", id="sqlite"
        ),
        pytest.param("sqlite", "SELECT 'it''s' , 1.5e3, .5, 0xFF", "SELECT ? , ?, ?, ?", id="numbers"),
        pytest.param("postgresql", "SELECT $1::INTEGER, t1.c2", "SELECT ?::INTEGER, t1.c2", id="asyncpg"),
        pytest.param("postgresql", "SELECT E'a\\'b', $$a'b$$, $x$c$x$", "SELECT ?, ?, ?", id="escapes"),
        pytest.param("postgresql", "SELECT 'C:\\', 'secret'", "SELECT ?, ?", id="a backslash is no escape"),
        pytest.param("mysql", r"SELECT 'it\'s secret', " + '"secret"', "SELECT ?, ?", id="mysql"),
        pytest.param("sqlite", 'SELECT "Name 1" FROM "t 2"', 'SELECT "Name 1" FROM "t 2"', id="quoted names stay"),
        pytest.param("sqlite", "SELECT 1 -- secret\n + /* secret */ 2", "SELECT ? + ?", id="comments"),
        pytest.param("postgresql", "SELECT %(a_1)s, %s, :name, ?", "SELECT ?, ?, ?, ?", id="placeholders"),
        pytest.param("sqlite", "SELECT a FROM t WHERE i IN (?, ?, 3)", "SELECT a FROM t WHERE i IN (?)", id="list"),
        pytest.param(
            "sqlite", "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)", "INSERT INTO t (a, b) VALUES (?)", id="rows"
        ),
        pytest.param(
            "postgresql",
            "SELECT a FROM t WHERE i IN ($1::VARCHAR, $2::VARCHAR)",
            "SELECT a FROM t WHERE i IN (?)",
            id="list with casts",
        ),
        pytest.param("sqlite", "SELECT 'never closed, secret", "SELECT ?", id="never closed"),
        pytest.param("mysql", "SELECT 'never closed \\", "SELECT ?", id="never closed after a backslash"),
        pytest.param("postgresql", "SELECT $$never closed", "SELECT ?", id="dollars never closed"),
    ],
)
def test_the_text_keeps_names_and_loses_values(dialect: str, sql: str, text: str) -> None:
    assert statement_of(sql, dialect).text == text


@pytest.mark.parametrize(
    ("sql", "operation", "summary"),
    [
        ("SELECT a FROM flights", "SELECT", "SELECT flights"),
        ("select a from public.flights f, airlines a where 1=1", "SELECT", "SELECT public.flights airlines"),
        ('SELECT 1 FROM "Flights" LEFT OUTER JOIN airlines ON x = y', "SELECT", "SELECT Flights airlines"),
        ("SELECT extract(year FROM moment) FROM flights", "SELECT", "SELECT flights"),
        ("SELECT a FROM (SELECT b FROM flights) AS x WHERE a IN (SELECT c FROM airports)", "SELECT",
         "SELECT SELECT flights SELECT airports"),
        ("SELECT a IS DISTINCT FROM b FROM flights FOR UPDATE", "SELECT", "SELECT flights"),
        ("SELECT replace(a, ?, ?) FROM flights", "SELECT", "SELECT flights"),
        ("SELECT value FROM json_each(?)", "SELECT", "SELECT"),
        ("INSERT INTO archive (a, b) SELECT a, b FROM flights", "INSERT", "INSERT archive SELECT flights"),
        ("INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = ?", "INSERT", "INSERT t"),
        ("UPDATE flights SET a = ? WHERE id = ?", "UPDATE", "UPDATE flights"),
        ("DELETE FROM ONLY flights", "DELETE", "DELETE flights"),
        ("WITH late AS (SELECT a FROM flights) SELECT a FROM late JOIN airlines ON true", "SELECT",
         "SELECT flights SELECT airlines"),
        ("WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone", "INSERT",
         "DELETE a INSERT b SELECT"),
        ("(SELECT a FROM b) UNION (SELECT a FROM c)", "SELECT", "SELECT b SELECT c"),
        ("CREATE TABLE IF NOT EXISTS flights (id INTEGER)", "CREATE", "CREATE flights"),
        ("PRAGMA journal_mode=WAL", "PRAGMA", "PRAGMA"),
        ("frobnicate 1", "other", "FROBNICATE"),
        ("", "other", ""),
        (")))", "other", ""),
    ],
)  # fmt: skip
def test_operation_and_summary_name_what_is_done_to_which_tables(sql: str, operation: str, summary: str) -> None:
    statement = statement_of(sql, "postgresql")
    assert (statement.operation, statement.summary) == (operation, summary)


@given(st.text(max_size=60))
def test_no_character_of_a_string_literal_survives(value: str) -> None:
    literal = "'" + ("\N{SNOWMAN}" + value).replace("'", "''") + "'"
    sql = f"SELECT a FROM t WHERE b = {literal} AND c = 1"  # noqa: S608 never executed
    assert statement_of(sql, "postgresql").text == "SELECT a FROM t WHERE b = ? AND c = ?"


@given(st.text(max_size=60))
def test_no_character_of_a_string_literal_survives_where_backslashes_escape(value: str) -> None:
    literal = "'" + ("\N{SNOWMAN}" + value).replace("\\", "\\\\").replace("'", "\\'") + "'"
    sql = f"SELECT a FROM t WHERE b = {literal} AND c = 1"  # noqa: S608 never executed
    assert statement_of(sql, "mysql").text == "SELECT a FROM t WHERE b = ? AND c = ?"


@given(st.text(max_size=200), st.sampled_from(["sqlite", "postgresql", "mysql"]))
def test_any_text_has_a_statement(sql: str, dialect: str) -> None:
    statement = statement_of(sql, dialect)
    assert len(statement.fingerprint) == 16


def test_the_same_statement_with_other_values_and_list_lengths_has_the_same_fingerprint() -> None:
    first = statement_of("SELECT a FROM t WHERE i IN (1, 2, 3) AND s = 'x'")
    second = statement_of("SELECT a FROM t WHERE i IN (?) AND s = 'y'")
    other = statement_of("SELECT b FROM t WHERE i IN (?) AND s = 'y'")
    assert first == second
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_a_statement_of_megabytes_is_cut_without_showing_a_value() -> None:
    rows = ", ".join(["('secret', 1)"] * 100_000)
    statement = statement_of(f"INSERT INTO t VALUES {rows}")  # noqa: S608 never executed
    assert statement.text.startswith("INSERT INTO t VALUES (?)")
    assert "secret" not in statement.text
    assert len(statement.text) <= MAX_TEXT < MAX_SQL
