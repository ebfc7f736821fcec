from service.dataset.facts import FACTS, differences
from service.dataset.manifest import FILES, Manifest


def test_every_fact_is_counted_from_the_source_too() -> None:
    assert {fact.name for fact in FACTS} == Manifest.read(FILES).facts.keys()


def test_the_gaps_of_the_year_are_known() -> None:
    facts = Manifest.read(FILES).facts
    assert facts["flights"] == 336_776
    assert facts["cancelled flights"] == 8_255
    assert facts["flights without a tail number"] == 2_512
    assert facts["flights of an unknown aircraft"] == 50_094
    assert facts["flights to an unknown airport"] == 7_602


def test_a_difference_names_the_fact_and_both_numbers() -> None:
    assert differences({"flights": 1_000, "airlines": 16}, {"flights": 1_001, "airlines": 16, "aircraft": 5}) == [
        "flights: expected 1,001, found 1,000"
    ]


def test_a_sum_over_nothing_is_a_difference() -> None:
    assert differences({"miles scheduled": None}, {"miles scheduled": 9}) == ["miles scheduled: expected 9, found 0"]
