"""How large the transactions of an exactly-once egress are."""

from statefun_runtime.connectors.kafka.egress.limits import PortionSize


def test_a_transaction_that_did_not_end_in_time_makes_the_next_ones_smaller_down_to_a_least():
    size = PortionSize(8 * 1024 * 1024)
    sizes = []
    for _ in range(12):
        size.took_too_long(size.bytes)
        sizes.append(size.bytes)

    assert sizes[:3] == [4 * 1024 * 1024, 2 * 1024 * 1024, 1024 * 1024]
    assert sizes[-1] == 16 * 1024


def test_they_grow_again_slowly_up_to_what_they_were():
    size = PortionSize(1000_000)
    size.took_too_long(size.bytes)
    size.went_well()
    assert size.bytes == 562_501
    for _ in range(20):
        size.went_well()
    assert size.bytes == 1000_000


def test_a_size_that_is_small_by_configuration_does_not_grow_by_it():
    size = PortionSize(200)
    size.took_too_long(size.bytes)
    assert size.bytes == 200


def test_what_is_halved_is_what_was_tried_and_not_what_might_have_been():
    size = PortionSize(8 * 1024 * 1024)
    size.took_too_long(1_200_000)
    assert size.bytes == 600_000
