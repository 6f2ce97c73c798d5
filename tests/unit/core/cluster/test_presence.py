"""Who is there, and whose turn it is to lead, by one's own heartbeats."""

import dataclasses
import json

from statefun_runtime.core.cluster.presence import SILENT_BEATS, Here, Presence

HERE = Here("host", 7, 1, "form")
LEADS = dataclasses.replace(HERE, term=3)


def presence(wait: int = 0) -> Presence:
    return Presence("own", wait=wait)


def beat(known: Presence, count: int = 1, here: Here = HERE) -> None:
    for _ in range(count):
        known.heard("own", here)


def test_what_a_process_says_of_itself_is_what_others_read():
    here = Here("host", 7, 2, "form", 5, True, (0, 3), 9)

    assert Here.decode(here.encode()) == here


def test_what_a_process_of_a_later_version_says_besides_is_passed_over():
    later = {**json.loads(HERE.encode()), "mood": "well"}

    assert Here.decode(json.dumps(later).encode()) == HERE


def test_who_was_not_heard_for_five_own_beats_is_silent():
    known = presence()
    beat(known)
    known.heard("other", HERE)
    beat(known, SILENT_BEATS - 1)
    assert list(known.present) == ["own", "other"]

    beat(known)
    assert list(known.present) == ["own"]


def test_while_no_own_beat_comes_back_nobody_is_silent_and_no_lead_is_due():
    known = presence()
    beat(known)
    known.heard("other", LEADS)

    # The brokers are away, for however long: what is counted stands.
    assert (known.now_s, known.leader, known.is_claim_due) == (0.3, "other", False)


def test_of_two_that_say_they_lead_the_one_with_the_higher_term_does():
    known = presence()
    beat(known)
    known.heard("old", LEADS)
    known.heard("new", dataclasses.replace(HERE, term=4))

    assert known.leader == "new"


def test_a_lead_is_claimed_when_nobody_has_led_for_five_beats_and_ones_own_wait():
    known = presence(wait=2)
    beat(known, SILENT_BEATS + 1)
    assert not known.is_claim_due

    beat(known)
    assert known.is_claim_due


def test_a_lead_that_falls_silent_is_claimed_later_than_it_is_missed():
    known = presence(wait=1)
    beat(known, 10)
    known.heard("other", LEADS)
    beat(known, SILENT_BEATS)
    assert known.leader is None
    assert not known.is_claim_due

    beat(known)
    assert known.is_claim_due


def test_a_lead_that_is_laid_down_is_claimed_at_once_but_for_ones_own_wait():
    known = presence(wait=1)
    beat(known)
    known.heard("other", LEADS)
    known.heard("other", HERE)
    assert not known.is_claim_due

    beat(known)
    assert known.is_claim_due


def test_a_leader_that_says_good_bye_is_not_waited_for():
    known = presence()
    beat(known)
    known.heard("other", LEADS)
    known.forget("other")

    assert list(known.present) == ["own"]
    assert known.is_claim_due


def test_a_process_that_comes_back_is_there_anew():
    known = presence()
    beat(known)
    known.heard("other", HERE)
    beat(known, 2 * SILENT_BEATS)
    known.heard("other", HERE)
    assert known.beats_of("other") == 0

    beat(known, 2)
    known.heard("other", HERE)
    assert known.beats_of("other") == 2
