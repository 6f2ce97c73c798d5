"""Targets in which fields of a message may stand."""

import pytest

from statefun_runtime.core.module.templates import FieldPath, TargetTemplate, parse_target


def test_the_last_two_slashes_divide_namespace_name_and_id():
    assert parse_target("a.b/c/d") == TargetTemplate(("a.b",), ("c",), ("d",))
    assert parse_target("a/b/c/d") == TargetTemplate(("a/b",), ("c",), ("d",))
    assert parse_target("/c/d") == TargetTemplate((), ("c",), ("d",))


def test_fields_stand_anywhere_and_more_than_once():
    assert parse_target("a{{$.x}}/{{ $.y.z }}/{{$.l[12].id}}-{{$.x}}") == TargetTemplate(
        ("a", FieldPath(("x",))),
        (FieldPath(("y", "z")),),
        (FieldPath(("l", 12, "id")), "-", FieldPath(("x",))),
    )


def test_only_a_type_without_fields_is_known_beforehand():
    assert parse_target("a/b/{{$.x}}").function_type == ("a", "b")
    assert parse_target("a/{{$.x}}/1").function_type is None
    assert parse_target("{{$.x}}/b/1").function_type is None


def test_a_path_is_shown_as_it_is_written():
    (path,) = parse_target("a/b/{{ $.l[12].id }}").paths()
    assert str(path) == "$.l[12].id"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a/b", "target 'a/b' is not of the form 'namespace/name/id'"),
        ("a//b", "target 'a//b' is not of the form 'namespace/name/id'"),
        ("a/b/", "target 'a/b/' is not of the form 'namespace/name/id'"),
        ("a/{{$.x/y}}", "'$.x/y' is not a path to a field, such as $.customer.id"),
        ("a/b/{{}}", "'' is not a path to a field, such as $.customer.id"),
        ("a/b/{{$}}", "'$' is not a path to a field, such as $.customer.id"),
        ("a/b/{{$x}}", "'$x' is not a path to a field, such as $.customer.id"),
        ("a/b/{{$.x[-1]}}", "'$.x[-1]' is not a path to a field, such as $.customer.id"),
        ("a/b/{{$.x", "target 'a/b/{{$.x' has braces without a partner"),
        ("a/b/$.x}}", "target 'a/b/$.x}}' has braces without a partner"),
    ],
)
def test_what_is_no_target_is_refused(text: str, reason: str):
    with pytest.raises(ValueError) as raised:
        parse_target(text)
    assert str(raised.value) == reason
