"""A slice of the damaged savepoints: `python -m tests.fuzz.savepoints` plays any number of them."""

from tests.fuzz.savepoints import run


def test_damage_is_refused_or_changes_nothing_where_there_is_a_checksum():
    outcomes, failures = run(0, 60)
    assert failures == []
    kinds = {kind for _, kind in outcomes}
    assert {"refused", "the same rows"} <= kinds
