"""What is recorded between a worker's cut and the barriers of the others."""

import pytest

from statefun_runtime.core.cluster.alignment import Alignment


def test_what_comes_before_a_senders_barrier_is_recorded_and_nothing_behind_it():
    alignment = Alignment([1, 2], epoch=6)
    assert not alignment.is_recording(1)

    alignment.cut(7)
    assert (alignment.is_recording(1), alignment.is_recording(2)) == (True, True)
    alignment.barrier(1, 7)
    assert (alignment.is_recording(1), alignment.is_recording(2)) == (False, True)
    assert not alignment.is_whole
    alignment.barrier(2, 7)
    assert alignment.is_whole


def test_who_meets_a_barrier_first_has_to_cut_and_records_nothing_of_that_sender():
    alignment = Alignment([1, 2], epoch=0)
    assert alignment.is_new(1)
    alignment.cut(1)
    alignment.barrier(2, 1)

    assert not alignment.is_new(1)
    assert (alignment.is_recording(1), alignment.is_recording(2)) == (True, False)


def test_a_worker_without_others_is_whole_at_once():
    alignment = Alignment([], epoch=0)
    alignment.cut(1)
    assert alignment.is_whole


def test_barriers_out_of_order_are_a_bug():
    alignment = Alignment([1], epoch=3)
    with pytest.raises(AssertionError, match="before the cut"):
        alignment.barrier(1, 4)
    alignment.cut(4)
    alignment.barrier(1, 4)
    with pytest.raises(AssertionError, match="out of order"):
        alignment.barrier(1, 4)
