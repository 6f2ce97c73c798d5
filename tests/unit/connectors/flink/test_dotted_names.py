"""Function types are read out of dotted names, and never guessed."""

from statefun_runtime.connectors.flink.importing.names import resolve_types
from statefun_runtime.core.model.address import TypeName

CART = TypeName("com.acme.shop", "cart")
SHOP = TypeName("com.acme", "shop.cart")
DOTTED = "com.acme.shop.cart"


def resolve(*, declared=(), seen=(), served=()):
    resolved = resolve_types([DOTTED], declared, seen, lambda one: one in served)
    return resolved.types.get(DOTTED)


def test_one_dot_has_one_reading():
    resolved = resolve_types(["demo.slow"], (), (), lambda _: False)
    assert resolved.types == {"demo.slow": TypeName("demo", "slow")}
    assert resolved.ambiguous == ()


def test_what_an_endpoint_serves_or_a_message_names_decides():
    assert resolve(served=[CART]) == CART
    assert resolve(seen=[SHOP]) == SHOP
    assert resolve(seen=[CART], served=[CART]) == CART


def test_two_readings_that_something_speaks_for_stay_open():
    assert resolve(seen=[SHOP], served=[CART]) is None
    assert resolve(served=[CART, SHOP]) is None
    assert resolve() is None


def test_the_operator_decides():
    assert resolve(declared=[SHOP], seen=[CART], served=[CART]) == SHOP
    assert resolve(declared=[SHOP, CART]) is None


def test_an_open_name_is_told_with_its_readings():
    resolved = resolve_types([DOTTED], (), (), lambda one: one in (CART, SHOP))
    assert [str(one) for one in resolved.ambiguous] == [
        "com.acme.shop.cart may be com.acme/shop.cart or com.acme.shop/cart"
    ]
    resolved = resolve_types([DOTTED], (), (), lambda _: False)
    assert [str(one) for one in resolved.ambiguous] == [
        "com.acme.shop.cart may be com/acme.shop.cart or com.acme/shop.cart or com.acme.shop/cart, and no endpoint "
        "serves one of them"
    ]
