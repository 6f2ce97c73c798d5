import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import address_field
from statefun_runtime.core.model.metrics import Histogram
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Function


def function(name: str = "greeter", template: str = "http://fns/{function.name}") -> Function:
    return Function(TypeName("t", name), EndpointSpec(FunctionPattern("t", None), template))


def test_the_name_stands_in_the_url():
    assert function().url == "http://fns/greeter"
    assert function(template="http://{function.name}.fns/a").url == "http://greeter.fns/a"


@pytest.mark.parametrize(
    ("name", "encoded"),
    [("a b", "a%20b"), ("a\r\nx: y", "a%0D%0Ax%3A%20y"), ("a?b#c", "a%3Fb%23c"), ("é", "%C3%A9")],
)
def test_what_cannot_stand_in_a_url_is_encoded(name: str, encoded: str):
    assert function(name).url == f"http://fns/{encoded}"


SHARED = function()


@given(st.text(max_size=200))
def test_a_remembered_head_makes_the_same_address(function_id: str):
    assert SHARED.address_field(function_id) == address_field(SHARED.type, function_id)


def test_a_histogram_counts_up_to_and_including_each_bound():
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 2, 10, 11):
        histogram.add(value)

    assert histogram.cumulative() == [(1, 2), (10, 4), (float("inf"), 5)]
    assert histogram.total == 24.5
