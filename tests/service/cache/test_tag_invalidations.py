from service.cache.tag_invalidations import TagInvalidations


def test_what_was_invalidated_since_is_not_allowed_and_a_tie_counts() -> None:
    invalidations = TagInvalidations()
    invalidations.record({"a"}, 10.0)
    assert not invalidations.allow({"a", "b"}, since=9.0)
    assert not invalidations.allow({"a"}, since=10.0)
    assert invalidations.allow({"a"}, since=10.1)
    assert invalidations.allow({"b"}, since=9.0)


def test_too_many_tags_become_one_stamp_for_everything() -> None:
    invalidations = TagInvalidations(max_tags=3)
    invalidations.record({"a", "b", "c"}, 5.0)
    assert invalidations.allow({"z"}, since=1.0)
    invalidations.record({"d"}, 6.0)
    assert not invalidations.allow({"z"}, since=6.0)
    assert invalidations.allow({"z"}, since=6.1)


def test_everything_can_be_invalidated_and_never_earlier_than_it_was() -> None:
    invalidations = TagInvalidations()
    invalidations.record_all(5.0)
    invalidations.record_all(4.0)
    assert not invalidations.allow((), since=5.0)
    assert invalidations.allow((), since=5.1)
