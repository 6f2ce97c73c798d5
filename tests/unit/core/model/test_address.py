import pytest

from statefun_runtime.core.model.address import Address, TypeName, key_group


@pytest.mark.parametrize(
    ("function_id", "group"),
    [
        ("", 0),
        ("123456789", 38),
        ("Bob", 32),
        ("alice", 71),
        ("user-4711", 17),
        ("Ünïcode ☃", 17),
        ("0", 33),
    ],
)
def test_an_id_lies_in_the_same_key_group_for_ever(function_id: str, group: int):
    assert key_group(function_id, 128) == group


def test_key_groups_are_filled_evenly():
    counts = [0] * 128
    for number in range(100_000):
        counts[key_group(f"user-{number}", 128)] += 1

    assert max(counts) < 1.2 * 100_000 / 128


@pytest.mark.parametrize("text", ["a/b", "a/b/", "a/b///"])
def test_trailing_slashes_of_a_typename_are_dropped(text: str):
    assert TypeName.parse(text) == TypeName("a", "b")


def test_a_namespace_may_be_empty_and_hold_dots():
    assert TypeName.parse("/b") == TypeName("", "b")
    assert TypeName.parse("com.example/b") == TypeName("com.example", "b")


@pytest.mark.parametrize("text", ["", "/", "b", "a/", "a/b/c", "a//b"])
def test_other_forms_of_a_typename_are_refused(text: str):
    with pytest.raises(ValueError) as refused:
        TypeName.parse(text)

    assert str(refused.value) == f"{text!r} is not of the form 'namespace/name'"


def test_only_a_typename_that_can_be_read_again_is_proper():
    assert TypeName("com.example", "greeter").is_proper
    for odd in (TypeName("a", "b/c"), TypeName("a/b", "c"), TypeName("a", "b\0")):
        assert not odd.is_proper


def test_an_address_is_written_as_type_and_id():
    assert str(Address(TypeName("a", "b"), "x/y")) == "a/b/x/y"
