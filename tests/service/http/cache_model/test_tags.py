from starlette.requests import Request

from service.http.cache_model.tags import canonical, fresh_tags, open_tags, surrogate_key, tag_response, tags_of


def request() -> Request:
    return Request({"type": "http", "headers": []})


def test_tags_are_dropped_where_nothing_collects_them() -> None:
    unheard = request()
    tag_response(unheard, "flights")
    assert tags_of(unheard.scope) == frozenset()


def test_a_copy_of_the_scope_shares_the_tags_until_it_gets_its_own() -> None:
    outer = request()
    open_tags(outer.scope)
    copy = Request(dict(outer.scope))
    tag_response(copy, "flights", "board:JFK:2013-01-01")
    assert tags_of(outer.scope) == {"flights", "board:JFK:2013-01-01"}
    fresh_tags(copy.scope)
    tag_response(copy, "reference")
    assert tags_of(copy.scope) == {"reference"}
    assert "reference" not in tags_of(outer.scope)


def test_a_tag_can_not_break_the_header_or_pose_as_two() -> None:
    assert canonical("report:*:2013-01") == "report:*:2013-01"
    assert canonical("board:J K\r\nX: 1") == "board:J%20K%0D%0AX:%201"
    assert surrogate_key({canonical("b c"), "a"}) == b"a b%20c"
