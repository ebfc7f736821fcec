import pytest

from tests.grafana.template import ALL, Choice, Range, choice, filled

HOUR = Range(begins=0, ends=3600, step_s=15, scrape_s=15)
ARMS = ("baseline", "optimized")


@pytest.mark.parametrize(
    ("expression", "sent"),
    [
        ('up{arm=~"$arm"}', 'up{arm=~"(baseline|optimized)"}'),
        ('up{arm=~"${arm}"}', 'up{arm=~"(baseline|optimized)"}'),
        ('up{arm=~"[[arm]]"}', 'up{arm=~"(baseline|optimized)"}'),
        ('up{arm=~"${arm:regex}"}', 'up{arm=~"(baseline|optimized)"}'),
        ('up{arm=~"${arm:pipe}"}', 'up{arm=~"baseline|optimized"}'),
        ("rate(up[$__rate_interval])", "rate(up[60s])"),
        ("rate(up[$__range])", "rate(up[3600s])"),
        ("rate(up[${__interval}])", "rate(up[15s])"),
        ('label_replace(up, "a", "$1", "b", "(.)")', 'label_replace(up, "a", "$1", "b", "(.)")'),
        ('label_replace(up, "a", "${1}xx", "b", "(.)")', 'label_replace(up, "a", "${1}xx", "b", "(.)")'),
    ],
)
def test_a_query_is_sent_as_grafana_sends_it(expression: str, sent: str) -> None:
    arm = Choice("arm", ALL, ARMS, is_regex=True)
    assert filled(expression, {"arm": arm}, HOUR) == sent


def test_a_value_that_is_chosen_among_several_is_written_as_a_regular_expression() -> None:
    handler = Choice("handler", ("/flights/{flight_id}",), is_regex=True)
    assert filled("$handler", {"handler": handler}, HOUR) == r"/flights/\\{flight_id\\}"


def test_a_value_of_which_there_is_only_one_is_written_as_it_is() -> None:
    assert filled("$job", {"job": Choice("job", "service.a")}, HOUR) == "service.a"


def test_all_is_what_the_variable_says_it_is() -> None:
    assert filled("$arm", {"arm": Choice("arm", ALL, ARMS, all_value=".*", is_regex=True)}, HOUR) == ".*"


def test_a_variable_that_the_board_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="arm"):
        filled("$arm", {}, HOUR)


@pytest.mark.parametrize(
    ("variable", "options", "chosen"),
    [
        ({"current": {"value": "service"}}, ("bookshop", "service"), "service"),
        ({"current": {"value": "service"}}, ("bookshop",), "bookshop"),
        ({"current": {"value": "service"}}, (), ""),
        ({"current": {"value": ["$__all"]}, "includeAll": True}, ARMS, ALL),
        ({"current": {"value": ["gone"]}, "includeAll": True}, ARMS, ALL),
    ],
    ids=["saved", "saved one is gone", "nothing to choose", "all", "all instead of one that is gone"],
)
def test_what_is_chosen_when_a_board_is_opened(
    variable: dict[str, object], options: tuple[str, ...], chosen: str
) -> None:
    assert choice({"name": "x", **variable}, options).value == chosen
