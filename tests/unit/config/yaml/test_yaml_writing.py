"""What is written from nodes is read as the same nodes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statefun_runtime.config.problems import Place, Source
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    compose,
)
from statefun_runtime.config.yaml.writing import write_map, write_text

HERE = Place(1, 1)
TRAPS = """
on null ~ 1e3 0x1F 0E0 12:30:45 2001-01-01 << = - ... --- ' " {{$.a}} a/b/{{$.a}} *a !x é %a a: true True -7 +1 .5
"""
BLANKS = (
    "",
    "- a",
    "a: b",
    "a #b",
    " a",
    "a ",
    "\U0001f600\n",
    "\ufeff",
    "\x85",
    "\u2028",
    "x" * 1500,
)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20
) | st.sampled_from([*TRAPS.split(), *BLANKS])
SCALARS = st.builds(Scalar, st.just(HERE), st.just(ScalarKind.TEXT), TEXTS) | st.sampled_from(
    [
        Scalar(HERE, ScalarKind.NULL, ""),
        Scalar(HERE, ScalarKind.INTEGER, "-007"),
        Scalar(HERE, ScalarKind.FLOAT, "1.50"),
        Scalar(HERE, ScalarKind.BOOLEAN, "true"),
    ]
)


def maps(children: st.SearchStrategy[Node]) -> st.SearchStrategy[MapNode]:
    return st.dictionaries(TEXTS, children, max_size=4).map(
        lambda found: MapNode(HERE, {k: Entry(k, HERE, v) for k, v in found.items()})
    )


def lists(children: st.SearchStrategy[Node]) -> st.SearchStrategy[ListNode]:
    return st.lists(children, max_size=4).map(lambda found: ListNode(HERE, tuple(found)))


NODES = st.recursive(SCALARS, lambda children: maps(children) | lists(children), max_leaves=12)


def plain(node: Node) -> object:
    """Return a node without its places."""
    match node:
        case MapNode(entries=entries):
            return {key: plain(entry.value) for key, entry in entries.items()}
        case ListNode(items=items):
            return [plain(item) for item in items]
        case Scalar(kind=ScalarKind.NULL):
            return None
    return (node.kind, node.text)


@given(maps(NODES).filter(lambda node: bool(node.entries)))
@settings(max_examples=300)
def test_what_is_written_is_read_as_the_same(node: MapNode):
    text = "\n".join(f"{' ' * line.indent}{line.text}" for line in write_map(node))
    composed = compose(Source("f", text))
    assert composed.problems == ()
    assert [plain(document) for document in composed.documents] == [plain(node)]


def test_texts_are_as_plain_as_they_can_be():
    assert write_text("kafka-1:9092,kafka-2:9092") == "kafka-1:9092,kafka-2:9092"
    assert write_text("shop.fns/order/{{$.id}}") == "shop.fns/order/{{$.id}}"
    assert write_text("http://a/{function.name}?b=c#d") == "http://a/{function.name}?b=c#d"
    assert write_text("10s") == "10s"
    assert write_text("12") == "'12'"
    assert write_text("it's: a") == "'it''s: a'"
    assert write_text('two\n"lines"\x01\u2028\U000e0001') == r'"two\n\"lines\"\x01\u2028\U000E0001"'
