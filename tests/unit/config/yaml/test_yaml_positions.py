import pytest

from statefun_runtime.config.problems import Place, Source, render
from statefun_runtime.config.yaml.positions import (
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    compose,
)


def documents(text: str) -> tuple[Node, ...]:
    composed = compose(Source("module.yaml", text))
    assert composed.problems == ()
    assert composed.is_whole
    return composed.documents


def document(text: str) -> MapNode:
    (node,) = documents(text)
    assert isinstance(node, MapNode)
    return node


def scalar(text: str) -> Scalar:
    node = document(f"key: {text}\n").entries["key"].value
    assert isinstance(node, Scalar)
    return node


def refusal(text: str) -> str:
    composed = compose(Source("module.yaml", text))
    assert not composed.is_whole
    return render(composed.problems)


def test_keys_and_values_have_their_places():
    node = document("a: 1\n# a comment\nb:\n  - x\n  -   y\n")

    assert node.place == Place(1, 1)
    assert [entry.place for entry in node.entries.values()] == [Place(1, 1), Place(3, 1)]
    items = node.entries["b"].value
    assert isinstance(items, ListNode)
    assert items.place == Place(4, 3)
    assert [item.place for item in items.items] == [Place(4, 5), Place(5, 7)]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_every_line_break_of_yaml_counts_as_a_line(line_break: str):
    node = document(f"a: 1{line_break}é: 2{line_break}c: 3")

    assert node.entries["c"].value.place == Place(3, 4)


def test_columns_count_characters_not_bytes():
    assert document("{日本: x, b: y}").entries["b"].place == Place(1, 9)


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        ("on", ScalarKind.TEXT, "on"),
        ("no", ScalarKind.TEXT, "no"),
        ("2024-05-31", ScalarKind.TEXT, "2024-05-31"),
        ("1:20", ScalarKind.TEXT, "1:20"),
        ("1_000", ScalarKind.TEXT, "1_000"),
        ("0x10", ScalarKind.TEXT, "0x10"),
        (".nan", ScalarKind.TEXT, ".nan"),
        ("'12'", ScalarKind.TEXT, "12"),
        ('"true"', ScalarKind.TEXT, "true"),
        ("!!str 12", ScalarKind.TEXT, "12"),
        ("! 12", ScalarKind.TEXT, "12"),
        ("12", ScalarKind.INTEGER, "12"),
        ("-012", ScalarKind.INTEGER, "-012"),
        ('!!int "12"', ScalarKind.INTEGER, "12"),
        ("1.10", ScalarKind.FLOAT, "1.10"),
        ("1e3", ScalarKind.FLOAT, "1e3"),
        ("True", ScalarKind.BOOLEAN, "true"),
        ("false", ScalarKind.BOOLEAN, "false"),
        ("~", ScalarKind.NULL, "~"),
        ("null", ScalarKind.NULL, "null"),
        ("", ScalarKind.NULL, ""),
    ],
)
def test_scalars_have_the_kind_that_statefun_sees(text: str, kind: ScalarKind, kept: str):
    assert (scalar(text).kind, scalar(text).text) == (kind, kept)


def test_an_alias_has_the_place_of_its_anchor():
    node = document("a: &x {k: v}\nb: *x\n")

    assert node.entries["b"].value is node.entries["a"].value
    assert node.entries["b"].value.place == Place(1, 4)


def test_an_anchor_may_be_set_again():
    node = document("a: &x 1\nb: &x 2\nc: *x\n")

    assert node.entries["c"].value is node.entries["b"].value


def test_anchors_end_with_their_document():
    assert refusal("a: &x 1\n---\nb: *x\n") == (
        "module.yaml:3:4: alias '*x' has no anchor '&x' above it [SF1002]\n    3 | b: *x\n           ^"
    )


def test_merge_keys_add_what_is_not_there():
    node = document("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\n")

    merged = node.entries["c"].value
    assert isinstance(merged, MapNode)
    texts = {key: entry.value.text for key, entry in merged.entries.items()}
    assert texts == {"x": "5", "y": "2", "z": "4"}
    assert merged.entries["z"].place == Place(2, 14)


def test_a_quoted_merge_key_is_an_ordinary_key():
    assert list(document("'<<': {a: b}").entries) == ["<<"]


def test_a_duplicate_key_is_reported_and_reading_goes_on():
    composed = compose(Source("module.yaml", "a: 1\na: 2\n---\nb: 3\n"))

    assert composed.is_whole
    assert len(composed.documents) == 2
    assert render(composed.problems) == (
        "module.yaml:2:1: key 'a' is written twice; first at module.yaml:1:1 [SF1004]\n    2 | a: 2\n        ^"
    )


def test_aliases_that_explode_are_refused():
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]

    assert refusal("\n".join(["a0: &a0 [x]", *levels])) == (
        "module.yaml:6:40: aliases repeat more than 100,000 values [SF1003]\n"
        "    6 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]\n"
        "                                               ^"
    )


def test_values_nested_without_end_are_refused():
    assert refusal("[" * 100_000).splitlines()[0] == (
        "module.yaml:1:66: values are nested more than 64 levels deep [SF1003]"
    )


def test_characters_that_yaml_does_not_allow_are_refused_and_not_printed():
    assert refusal("a: 1\nb: \x1b[31m\n") == (
        "module.yaml:2:4: not valid YAML: the character U+001B is not allowed [SF1002]\n"
        "    2 | b: \ufffd[31m\n"
        "           ^"
    )


def test_only_a_part_of_a_long_line_is_shown():
    line = f"{{a: {'x' * 200}, b: [, c: {'y' * 200}}}"

    message, shown, caret = refusal(line).splitlines()
    assert message == (
        "module.yaml:1:211: not valid YAML: expected the node content, but found ',' [SF1002]"
    )
    assert len(shown) == len("    1 | ") + 122
    assert shown[caret.index("^")] == ","
