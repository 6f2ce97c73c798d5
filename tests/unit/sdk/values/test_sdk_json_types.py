"""JSON values as objects: dataclasses, pydantic models, msgspec structs."""

import json
import math
import sys
import types
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from statefun import make_json_type


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    name: str
    count: int = 1


@dataclass(frozen=True)
class Cart:
    owner: str
    items: list[Item]
    prices: dict[str, float] = field(default_factory=dict)
    colour: Colour = Colour.RED
    tags: frozenset[str] = frozenset()
    pair: tuple[int, ...] = ()
    note: str | None = None
    kind: Literal["a", "b"] = "a"
    is_paid: Annotated[bool, "or not"] = False
    since: datetime | None = None
    day: date | None = None
    extra: Any = None


@dataclass
class Node:
    value: int
    next: "Node | None" = None


CART = make_json_type("shop/Cart", Cart)
SMALL = Cart("zoe", [Item("pear")])
FULL = Cart(
    "zoé",
    [Item("pear", 2), Item("fig")],
    {"pear": 1.5, "fig": 2.0},
    Colour.BLUE,
    frozenset({"x"}),
    (1, 2),
    "hello",
    "b",
    True,
    datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    date(2026, 1, 2),
    {"any": [1, None]},
)


def read(data: object) -> Cart:
    return CART.serializer().deserialize(json.dumps(data).encode())


@pytest.mark.parametrize("cart", [SMALL, FULL])
def test_an_object_comes_back_as_it_was(cart: Cart):
    assert CART.serializer().deserialize(CART.serializer().serialize(cart)) == cart


def test_it_is_json_on_the_wire():
    data = json.loads(CART.serializer().serialize(FULL))

    assert data["items"] == [{"name": "pear", "count": 2}, {"name": "fig", "count": 1}]
    assert (data["colour"], data["since"]) == ("blue", "2026-01-02T03:04:00+00:00")
    assert "zoé".encode() in CART.serializer().serialize(FULL)


def test_fields_that_were_added_or_dropped_since_do_no_harm():
    assert read({"owner": "zoe", "items": [{"name": "pear", "gone": 1}], "gone": 2}) == SMALL


def test_an_object_may_hold_others_of_its_class():
    kind = make_json_type("t/Node", Node).serializer()
    chain = Node(1, Node(2, Node(3)))

    assert kind.deserialize(kind.serialize(chain)) == chain


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"items": []}, "Cart.owner is missing"),
        ({"owner": "z", "items": [{}]}, "Cart.items[0].name is missing"),
        ({"owner": 7, "items": []}, "Cart.owner must be str, not 7"),
        ({"owner": "z", "items": {}}, "Cart.items must be a list, not {}"),
        (
            {"owner": "z", "items": [{"name": "p", "count": True}]},
            "Cart.items[0].count must be int, not True",
        ),
        (
            {"owner": "z", "items": [], "prices": {"p": "1"}},
            "Cart.prices['p'] must be float, not '1'",
        ),
        ({"owner": "z", "items": [], "prices": []}, "Cart.prices must be an object, not []"),
        (
            {"owner": "z", "items": [], "colour": "green"},
            "Cart.colour must be one of 'red', 'blue', not 'green'",
        ),
        ({"owner": "z", "items": [], "kind": "c"}, "Cart.kind must be one of 'a', 'b', not 'c'"),
        (
            {"owner": "z", "items": [], "since": "soon"},
            "Cart.since must be a datetime in ISO format, not 'soon'",
        ),
        ([], "Cart must be an object, not []"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(data: object, said: str):
    with pytest.raises(ValueError) as refusal:
        read(data)
    assert str(refusal.value) == said


def test_another_object_is_not_written():
    with pytest.raises(TypeError) as refusal:
        CART.serializer().serialize({"owner": "zoe"})  # type: ignore[arg-type]
    assert str(refusal.value) == "Cart is needed, not {'owner': 'zoe'} (dict)"


@dataclass
class Unclear:
    what: int | str


@dataclass
class Bytes:
    what: list[bytes]


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Unclear, "Unclear.what is int | str; JSON does not say which of them a value is"),
        (
            Bytes,
            "Bytes.what is <class 'bytes'>, which cannot be read back from JSON; str, int, float, bool, "
            "datetime, enums, dataclasses, and list, dict[str, …] and | None of them can",
        ),
        (int, "a JSON type needs a dataclass, a pydantic model or a msgspec struct, not int"),
        (SMALL, f"a JSON type needs a class, not {SMALL!r}"),
    ],
)
def test_a_class_that_cannot_be_read_back_is_refused_at_once(cls: Any, said: str):
    with pytest.raises(TypeError) as refusal:
        make_json_type("shop/X", cls)
    assert str(refusal.value) == said


class Model:
    """What of a pydantic model is used; it writes NaN as models do: as null, or as its settings say."""

    def __init__(self, owner: str, weight: float | None = 1.0, nan: str = "null") -> None:
        self.owner = owner
        self.weight = weight
        self._nan = nan

    def model_dump_json(self) -> str:
        if self.weight == 1.0:
            return json.dumps({"owner": self.owner})
        return json.dumps(self.model_dump()).replace("NaN", self._nan)

    def model_dump(self) -> dict[str, Any]:
        return {"owner": self.owner, "weight": self.weight}

    @classmethod
    def model_validate_json(cls, data: bytes) -> "Model":
        return cls(**json.loads(data))


def test_a_pydantic_model_writes_and_reads_itself():
    kind = make_json_type("shop/Model", Model).serializer()

    assert kind.serialize(Model("zoe")) == b'{"owner": "zoe"}'
    assert kind.deserialize(b'{"owner": "zoe"}').owner == "zoe"
    with pytest.raises(TypeError, match="Model is needed"):
        kind.serialize(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("nan", ["null", "NaN"])
def test_a_pydantic_model_with_nan_is_not_written(nan: str):
    kind = make_json_type("shop/Model", Model).serializer()

    with pytest.raises(ValueError, match="JSON has no NaN and no infinity, as in ") as refusal:
        kind.serialize(Model("zoe", math.nan, nan))

    assert refusal.value.__notes__ == ["as a value of type shop/Model"]


def test_a_pydantic_model_may_write_null_and_nan_in_words():
    kind = make_json_type("shop/Model", Model).serializer()

    assert kind.serialize(Model("zoe", None)) == b'{"owner": "zoe", "weight": null}'
    assert kind.serialize(Model("zoe", math.nan, '"NaN"')) == b'{"owner": "zoe", "weight": "NaN"}'


def test_a_msgspec_struct_is_written_and_read_by_msgspec(monkeypatch: pytest.MonkeyPatch):
    class Struct:
        __struct_fields__ = ("owner",)

    class Decoder:
        def __init__(self, cls: type) -> None:
            assert cls is Struct

        def decode(self, data: bytes) -> Struct:
            assert data == b"{}"
            return Struct()

    package = types.ModuleType("msgspec")
    package.json = types.SimpleNamespace(encode=lambda _: b"{}", Decoder=Decoder)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msgspec", package)
    kind = make_json_type("shop/Struct", Struct).serializer()

    assert kind.serialize(Struct()) == b"{}"
    assert isinstance(kind.deserialize(b"{}"), Struct)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, None])
def test_a_msgspec_struct_with_nan_is_not_written(
    monkeypatch: pytest.MonkeyPatch, weight: float | None
):
    class Struct:
        __struct_fields__ = ("weight",)

    package = types.ModuleType("msgspec")
    package.json = types.SimpleNamespace(  # type: ignore[attr-defined]
        encode=lambda _: b'{"weight":null}',
        Decoder=lambda _: types.SimpleNamespace(decode=json.loads),
    )
    package.to_builtins = lambda _: {"weight": [weight]}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msgspec", package)
    kind = make_json_type("shop/Struct", Struct).serializer()

    if weight is None:
        assert kind.serialize(Struct()) == b'{"weight":null}'
        return
    with pytest.raises(ValueError, match="JSON has no NaN and no infinity, as in "):
        kind.serialize(Struct())
