from service.cache.tag_invalidations import Stamps


def test_what_was_invalidated_since_is_not_allowed_and_a_tie_counts() -> None:
    stamps = Stamps()
    stamps.stamp({"a"}, 10.0)
    assert not stamps.allow({"a", "b"}, since=9.0)
    assert not stamps.allow({"a"}, since=10.0)
    assert stamps.allow({"a"}, since=10.1)
    assert stamps.allow({"b"}, since=9.0)


def test_too_many_tags_become_one_stamp_for_everything() -> None:
    stamps = Stamps(most=3)
    stamps.stamp({"a", "b", "c"}, 5.0)
    assert stamps.allow({"z"}, since=1.0)
    stamps.stamp({"d"}, 6.0)
    assert not stamps.allow({"z"}, since=6.0)
    assert stamps.allow({"z"}, since=6.1)


def test_everything_can_be_invalidated_and_never_earlier_than_it_was() -> None:
    stamps = Stamps()
    stamps.stamp_all(5.0)
    stamps.stamp_all(4.0)
    assert not stamps.allow((), since=5.0)
    assert stamps.allow((), since=5.1)
