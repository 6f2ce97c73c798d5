"""`statefun.testing`: what a test of functions can do with an application."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from statefun import (
    Context,
    IntType,
    Message,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    make_json_type,
    message_builder,
)
from statefun.testing import Application

RECEIPTS = "shop/receipts"
ORDER = make_json_type("shop/Order")

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://shop.example/statefun
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: kafka.example:9092
  consumerGroupId: shop
  topics:
    - {topic: orders, valueType: shop/Order, targets: [shop/cart]}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: kafka.example:9092
"""


def shop() -> StatefulFunctions:
    functions = StatefulFunctions()

    @functions.bind("shop/cart", specs=[ValueSpec("count", IntType)])
    def cart(context: Context, message: Message) -> None:
        if message.is_type(ORDER):
            raise ValueError("no such order")
        count = (context.storage.count or 0) + 1
        context.storage.count = count
        if count == 1:
            reminder = message_builder("shop/reminder", context.address.id, str_value="soon")
            context.send_after(timedelta(hours=1), reminder)
        context.send_egress(egress_message_builder(RECEIPTS, f"{count}", StringType))

    @functions.bind("shop/reminder")
    async def reminder(context: Context, message: Message) -> None:
        await asyncio.sleep(5)
        record = kafka_egress_message(RECEIPTS, "reminders", "come back", key=context.address.id)
        context.send_egress(record)

    return functions


@pytest.fixture
def app(statefun_app) -> Application:
    return statefun_app(shop(), egresses=[RECEIPTS])


def texts(app: Application) -> list[str]:
    return [record.text for record in app.egress(RECEIPTS)]


def test_state_and_egress_are_what_the_functions_made_of_the_messages(app):
    app.send("shop/cart", "alice", "an apple")
    app.send("shop/cart", "alice", "a pear")
    app.advance()

    assert app.state("shop/cart", "alice") == {"count": 2}
    assert app.state("shop/cart", "bob") == {}
    assert texts(app) == ["1", "2"]


def test_a_delayed_message_comes_when_its_time_has_come_and_an_hour_takes_none(app):
    app.send("shop/cart", "alice", "an apple")
    app.advance(minutes=59)
    assert texts(app) == ["1"]

    app.advance(timedelta(minutes=1), seconds=6)

    reminder = app.egress(RECEIPTS)[-1]
    assert (reminder.topic, reminder.key, reminder.text) == ("reminders", "alice", "come back")


def test_it_can_be_awaited_in_a_test_that_runs_in_a_loop(app):
    async def play() -> None:
        app.send("shop/cart", "alice", "an apple")
        await app.advance(seconds=1)

    asyncio.run(play())

    assert texts(app) == ["1"]


def test_what_a_function_raises_is_raised_where_time_passed(app):
    app.send("shop/cart", "alice", {"order": 7}, ORDER)

    with pytest.raises(ValueError, match="no such order"):
        app.advance()


def test_with_the_failure_policy_an_address_that_fails_is_parked_and_others_go_on():
    with Application(shop(), egresses=[RECEIPTS], has_failure_policy=True) as app:
        app.send("shop/cart", "alice", {"order": 7}, ORDER)
        for _ in range(40):
            app.send("shop/cart", "bob", "an apple")
            app.advance(seconds=10)

        assert app.parked() == ["shop/cart/alice"]
        assert app.state("shop/cart", "bob") == {"count": 40}


def test_effects_happen_once_when_a_reply_is_lost(app):
    app.lose_reply("shop/cart", times=2)
    app.send("shop/cart", "alice", "an apple")
    app.advance(seconds=1)

    # The first request is answered with the states that are missing.
    assert app.calls >= 3
    assert (app.state("shop/cart", "alice"), texts(app)) == ({"count": 1}, ["1"])


@pytest.mark.parametrize("fault", ["fail_next", "cut_next"])
def test_a_request_that_goes_wrong_is_made_again(app, fault):
    getattr(app, fault)("shop/cart", times=3)
    app.send("shop/cart", "alice", "an apple")
    app.advance(seconds=1)

    assert texts(app) == ["1"]


@pytest.mark.parametrize("milliseconds", [0.1, 20, 101, 150, 500])
def test_a_restart_at_any_point_loses_nothing_and_doubles_nothing(app, milliseconds):
    for number in range(5):
        app.send("shop/cart", "alice", f"apple {number}")
        app.advance(milliseconds=milliseconds)
        app.restart()
    app.advance(hours=1, seconds=6)

    assert app.state("shop/cart", "alice") == {"count": 5}
    assert texts(app) == ["1", "2", "3", "4", "5", "come back"]


def test_the_same_calls_have_the_same_effects():
    def play() -> tuple[list[str], int]:
        with Application(shop(), egresses=[RECEIPTS]) as app:
            for number in range(30):
                app.send("shop/cart", f"id {number % 7}", "x")
                app.lose_reply("shop/cart")
                app.advance(milliseconds=37)
            return texts(app), app.calls

    assert play() == play()


def test_a_module_says_which_functions_and_egresses_there_are(tmp_path: Path, statefun_app):
    (tmp_path / "module.yaml").write_text(MODULE)
    app = statefun_app(shop(), module=tmp_path / "module.yaml")

    app.send("shop/cart", "alice", "an apple")
    app.advance()

    assert texts(app) == ["1"]
    with pytest.raises(Exception, match=r"no endpoint of the module serves .*'other/cart'"):
        app.send("other/cart", "alice", "an apple")


def test_what_is_asked_for_wrongly_says_so(app):
    with pytest.raises(TypeError, match="shop/cart/alice needs a value_type: dict"):
        app.send("shop/cart", "alice", {})
    with pytest.raises(Exception, match=r"no egress .*there is: shop/receipts"):
        app.egress("shop/nothing")
    with pytest.raises(KeyError, match="no function is registered as 'shop/nothing'"):
        app.fail_next("shop/nothing")
    with pytest.raises(ValueError, match="either a module"):
        Application(shop(), module="module.yaml", egresses=[RECEIPTS])


def test_a_record_is_read_as_what_it_is(app):
    app.send("shop/cart", "alice", "an apple")
    app.advance()
    (record,) = app.egress(RECEIPTS)

    assert record.as_type(StringType) == "1"
    with pytest.raises(ValueError, match=r"is of type io\.statefun\.types/string, not shop/Order"):
        record.as_type(ORDER)
    with pytest.raises(ValueError, match="neither for Kafka nor for Kinesis"):
        _ = record.topic
