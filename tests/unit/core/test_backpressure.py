from statefun_runtime.core.backpressure import Limits, Load


def load(waiting_bytes: int = 0, *, busy_max: int = 10) -> Load:
    made = Load(Limits(waiting_bytes_max=100, egress_bytes_max=50, busy_max=busy_max))
    made.waiting_bytes = waiting_bytes
    return made


def test_it_is_open_below_all_limits():
    assert load(99).closed_by(busy=9, egress_bytes=49) is None


def test_each_limit_closes_it_and_says_which():
    assert load(100).closed_by(busy=0, egress_bytes=0) == "100 bytes of messages wait (limit 100)"
    assert load().closed_by(busy=0, egress_bytes=50) == "50 bytes wait for egresses (limit 50)"
    assert load().closed_by(busy=10, egress_bytes=0) == "10 addresses are busy (limit 10)"


def test_no_limit_of_busy_addresses_is_none():
    for busy_max in (0, -1):
        assert load(busy_max=busy_max).closed_by(busy=10**6, egress_bytes=0) is None


def test_it_is_tight_from_half_of_the_memory_on():
    assert not load(49).is_tight
    assert load(50).is_tight
