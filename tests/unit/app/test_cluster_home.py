"""How a process asks the worker of the first key groups, wherever that is."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from statefun_runtime.adapters.http.server import Deferred, HttpRequest, HttpResponse
from statefun_runtime.app.cluster.home import Home
from statefun_runtime.app.cluster.hosting import Hosting
from statefun_runtime.connectors.playground.asked import (
    COMMAND,
    read_response,
    request_form,
    results_commands,
)
from statefun_runtime.core.cluster.presence import SILENT_BEATS, Here, Presence
from statefun_runtime.errors import StatefunError, UnavailableError
from statefun_runtime.ports.control import Notice
from statefun_runtime.ports.team import Hired

GET = HttpRequest("GET", "/out", "after=", {"accept": "*/*"}, b"body")


class Table:
    """The control topic of some processes of one loop."""

    def __init__(self) -> None:
        self.there: dict[str, Seated] = {}
        self.said: list[tuple[str, str, str]] = []

    def join(self, name: str, home: int = 0) -> "Seated":
        self.there[name] = seated = Seated(self, name, home)
        self.beat(name, home)
        return seated

    def beat(self, name: str, home: int = 0) -> None:
        here = Here("host", 7, 1, "form", home=home)
        for one in self.there.values():
            one.presence.heard(name, here)


class Seated:
    """A process: it stands for its Control and its Workplace, and for the one worker there."""

    def __init__(self, table: Table, name: str, home: int) -> None:
        self.table, self.name = table, name
        self.presence = Presence(name, wait=0)
        self.answer: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] = self._hello
        hosting = Hosting(self, self)  # type: ignore[arg-type]
        if home:
            request = {"nonce": "n", "slot": 0, "is_home": True, "incarnation": home}
            hosting.take(Notice("boss", "hire", 1, json.dumps(request).encode()))
            self.lodger = hosting._lodgers[0]
            self.lodger.pipe, self.lodger.is_ready = self, True  # type: ignore[assignment]
        self.home = Home(name, self, self.presence, hosting)  # type: ignore[arg-type]
        self.tasks: list[asyncio.Task[None]] = []

    async def _hello(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"by": self.name, "for": asked["arguments"]}

    # ── the Workplace, and the worker's pipe ──

    def attach(self, ended: Callable[[int, int], None]) -> None:
        pass

    async def hire(self, requests: dict[int, dict[str, Any]]) -> dict[int, Hired]:
        raise AssertionError("nobody is hired here")

    def say(self, *said: Any) -> None:
        loop = asyncio.get_running_loop()
        if len(said) == 1:
            self.tasks.append(loop.create_task(self._work(json.loads(said[0]))))
            return
        to, kind, number, content = said
        self.table.said.append((self.name, to, kind))
        other = self.table.there[to].home
        if kind == "seek":
            notice = Notice(self.name, kind, number, content)
            self.tasks.append(loop.create_task(other.answer(notice)))
        else:
            other.found(number, json.loads(content))

    async def _work(self, asked: dict[str, Any]) -> None:
        content = await self.answer(asked)
        self.lodger.hear(json.dumps({"told": asked["ask"], "content": content}).encode())

    # ── the Control ──

    async def said(self) -> None:
        await asyncio.sleep(0)


def play(story: Callable[[Table], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        async with asyncio.timeout(5):
            await story(Table())

    asyncio.run(body())


def test_a_worker_of_this_process_is_asked_without_the_control_topic():
    async def story(table: Table) -> None:
        one = table.join("one", home=3)

        assert await one.home.ask("results", {"a": 1}) == {"by": "one", "for": {"a": 1}}
        assert table.said == []

    play(story)


def test_a_worker_of_another_process_is_asked_through_the_control_topic():
    async def story(table: Table) -> None:
        one, _ = table.join("one"), table.join("two", home=3)

        assert await one.home.ask("results", {"a": 1}) == {"by": "two", "for": {"a": 1}}
        assert table.said == [("one", "two", "seek"), ("two", "one", "found")]

    play(story)


@pytest.mark.parametrize("later", ["two", "three"])
def test_of_two_that_say_they_have_it_the_one_of_the_later_life_is_asked(later: str):
    async def story(table: Table) -> None:
        one = table.join("one")
        for name in ("two", "three"):
            table.join(name, home=4 if name == later else 3)

        assert (await one.home.ask("results", {}))["by"] == later

    play(story)


def test_a_worker_of_this_process_that_is_of_an_earlier_life_is_not_asked():
    async def story(table: Table) -> None:
        one, _ = table.join("one", home=3), table.join("two", home=4)

        assert (await one.home.ask("results", {}))["by"] == "two"

    play(story)


def test_while_nobody_has_it_the_answer_is_that_they_begin_again():
    async def story(table: Table) -> None:
        one, _ = table.join("one"), table.join("two")
        with pytest.raises(UnavailableError) as error:
            await one.home.ask("results", {})
        assert error.value.line == (
            "no worker has the results now: the workers begin again [SF3065]"
        )

    play(story)


@pytest.mark.parametrize("change", ["silent", "has it no more", "another life", "cut off"])
def test_nobody_waits_for_a_process_that_has_it_no_more(change: str):
    async def story(table: Table) -> None:
        one, two = table.join("one"), table.join("two", home=3)

        async def never(asked: dict[str, Any]) -> dict[str, Any]:
            return await asyncio.get_running_loop().create_future()

        two.answer = never
        asking = asyncio.get_running_loop().create_task(one.home.ask("results", {}))
        await asyncio.sleep(0)
        one.home.look()
        await asyncio.sleep(0)
        assert not asking.done()
        match change:
            case "silent":
                for _ in range(SILENT_BEATS):
                    table.beat("one")
            case "has it no more":
                table.beat("two")
            case "another life":
                table.beat("two", home=4)
            case "cut off":
                one.home.close()
        one.home.look()
        with pytest.raises(StatefunError) as error:
            await asking
        assert error.value.code == "SF3065"

    play(story)


def test_an_answer_that_comes_too_late_is_nobodys():
    async def story(table: Table) -> None:
        one = table.join("one")
        one.home.found(17, {"content": {}})

    play(story)


def test_a_request_is_answered_by_who_has_the_results_and_its_head_and_body_stay():
    class Sink:
        def serve(self, request: HttpRequest) -> HttpResponse:
            assert request == HttpRequest("GET", "/out", "after=", {}, b"")
            return HttpResponse(200, b"\x00\xff", "application/json", (("Status", "200"),))

    async def body() -> None:
        told = await results_commands([object(), Sink()])[COMMAND](request_form(GET))
        response = read_response(json.loads(json.dumps(told)))
        assert response == Sink().serve(HttpRequest("GET", "/out", "after=", {}, b""))

    asyncio.run(body())


def test_an_acknowledgement_is_answered_when_it_is_known():
    deferred = Deferred()

    class Sink:
        def serve(self, request: HttpRequest) -> Deferred:
            return deferred

    async def body() -> None:
        async def ask() -> dict[str, Any]:
            return await results_commands([Sink()])[COMMAND](request_form(GET))

        asking = asyncio.get_running_loop().create_task(ask())
        await asyncio.sleep(0)
        assert not asking.done()
        deferred.resolve(HttpResponse(200))
        assert read_response(await asking) == HttpResponse(200)

    asyncio.run(body())


def test_a_worker_without_an_http_egress_is_asked_for_no_results():
    assert results_commands([object()]) == {}
