"""What several workers are asked together: commands of the admin socket, metrics and readiness.

Each is asked, and the answers become one: numbers are added, lists are joined, things of one name are merged. A time is
the longest, a failure counts only if all have failed.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest

from statefun_runtime.adapters.admin.admin_socket import Arguments, Command
from statefun_runtime.adapters.admin.metrics_port import CONTENT_TYPE, MetricFamilies, readiness
from statefun_runtime.adapters.http.server import Deferred, HttpRequest, HttpResponse, HttpServer
from statefun_runtime.app.commands import absolute_place
from statefun_runtime.app.team.leader import Leader
from statefun_runtime.app.team.metric_form import read_metric
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.errors import StatefunError

_NAMES = ("function", "id")
_LONGEST = ("_s", "_ms", "_seconds", "_age")
_ANSWER_S = 10.0


class Asked(Protocol):
    """A worker that is asked."""

    slot: int

    async def ask(self, command: str, arguments: Arguments) -> dict[str, Any]:
        """Have it carry out a command; raise StatefunError if it cannot, or is gone."""
        ...


class HasWorkers(Protocol):
    """Whoever has workers to ask."""

    @property
    def restarts(self) -> int:
        """How often all have begun again."""
        ...

    def workers(self) -> Sequence[Asked]:
        """Return them; raise UnavailableError while they begin."""
        ...


async def _ask_all(leader: HasWorkers, command: str, arguments: Arguments) -> list[dict[str, Any]]:
    """Return what those say that can do it; raise what the first says if none can."""
    workers = leader.workers()
    told: list[dict[str, Any]] = []
    errors: list[StatefunError] = []

    async def ask(worker: Asked) -> None:
        try:
            told.append(await worker.ask(command, arguments))
        except StatefunError as error:
            errors.append(error)

    async with asyncio.TaskGroup() as asking:
        for worker in workers:
            asking.create_task(ask(worker))
    if not told:
        raise errors[0]
    return told


def team_commands(leader: Leader, savepoints: str) -> dict[str, Command]:
    """Return the commands by name."""

    async def savepoint(arguments: Arguments) -> dict[str, Any]:
        leader.workers()
        assert leader.life is not None
        named = arguments.get("folder") or f"{savepoints}/{datetime.now():%Y%m%d-%H%M%S}"
        place = absolute_place(named)
        made = await leader.life.checkpointer.savepoint(place)
        return {"folder": place, "epoch": made.epoch}

    async def replay(arguments: Arguments) -> dict[str, Any]:
        # One of them finds the targets, wherever they are.
        return await leader.workers()[0].ask("replay", arguments)

    def together(command: str) -> Command:
        async def ask(arguments: Arguments) -> dict[str, Any]:
            merged: dict[str, Any] = merge_all(await _ask_all(leader, command, arguments))
            return merged

        return ask

    async def status(arguments: Arguments) -> dict[str, Any]:
        # As of now: it may be another one, or none, when all have answered.
        life = leader.life
        merged = merge_all(await _ask_all(leader, "status", arguments))
        assert life is not None, "workers of no life have answered"
        last, checkpointer = life.checkpointer.last_complete, life.checkpointer
        merged["checkpoints"] = {
            "epoch": last.epoch if last is not None else 0,
            "age_s": merged["checkpoints"]["age_s"],
            "completed": checkpointer.completed_count,
            "aborted": checkpointer.aborted_count,
            "trouble": checkpointer.trouble,
        }
        merged["workers"] = life.describe()
        return merged

    names = ("retry", "parked-list", "parked-release", "parked-skip")
    asked = {name: together(name) for name in names}
    return {**asked, "status": status, "savepoint": savepoint, "replay": replay}


def merge_all(answers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the answers of all workers as one."""
    merged: dict[str, Any] = {}
    for answer in answers:
        merged = _merge_objects(merged, answer)
    return merged


def _merge_objects(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        **one,
        **{
            name: _merge(name, one[name], value) if name in one else value
            for name, value in other.items()
        },
    }


def _merge(name: str, one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    if isinstance(one, dict):
        return _merge_objects(one, other)
    if isinstance(one, list):
        return _merge_lists(one, other)
    if isinstance(one, str):
        return one or other
    return max(one, other) if name.endswith(_LONGEST) else one + other


def _merge_lists(one: list[Any], other: list[Any]) -> list[Any]:
    if not all(isinstance(each, dict) and _is_counted(each) for each in (*one, *other)):
        return list(dict.fromkeys([*one, *other])) if _are_texts(one, other) else [*one, *other]
    by_name = {_name(each): each for each in one}
    for each in other:
        name = _name(each)
        by_name[name] = _merge_objects(by_name[name], each) if name in by_name else each
    return list(by_name.values())


def _is_counted(each: dict[str, Any]) -> bool:
    """Return whether a thing has its like in other workers; an address has one home."""
    return "numbers" in each or ("function" in each and "id" not in each)


def _are_texts(one: list[Any], other: list[Any]) -> bool:
    return all(isinstance(each, str) for each in (*one, *other))


def _name(each: dict[str, Any]) -> str:
    return next(str(each[name]) for name in _NAMES if name in each)


class TeamMetricsPort:
    """The one metrics port of several workers; each number says whose it is."""

    def __init__(self, leader: HasWorkers, settings: Settings, tasks: asyncio.TaskGroup) -> None:
        self._leader = leader
        self._tasks = tasks
        self._is_shadow = settings.shadow
        self._is_wanted = settings.metrics_port is not None
        self._server = HttpServer(
            self._answer, host=settings.host, port=settings.metrics_port or 0, body_bytes_max=0
        )

    @property
    def port(self) -> int | None:
        """The port it listens on, if it does."""
        return self._server.port if self._is_wanted else None

    async def start(self) -> None:
        """Listen, if that is wanted; raise ConfigError if the port cannot be had."""
        if self._is_wanted:
            await self._server.start(what="the metrics port")

    async def close(self) -> None:
        """Stop listening."""
        if self._is_wanted:
            await self._server.close()

    def _answer(self, request: HttpRequest) -> HttpResponse | Deferred:
        match request.path:
            case "/metrics":
                work = self._metrics()
            case "/readyz":
                work = self._readiness()
            case "/livez" | "/healthz":
                return HttpResponse(200, b"alive\n")
            case _:
                return HttpResponse(404, b"there are /metrics, /livez and /readyz\n")
        answer = Deferred()

        async def resolve() -> None:
            answer.resolve(await work)

        self._tasks.create_task(resolve())
        return answer

    async def _metrics(self) -> HttpResponse:
        found = [
            Metric(
                "statefun_worker_restarts",
                MetricKind.COUNTER,
                "how often all workers have gone back to the last complete checkpoint",
                self._leader.restarts,
            )
        ]
        try:
            async with asyncio.timeout(_ANSWER_S):
                for worker in self._leader.workers():
                    content = await worker.ask("metrics", {})
                    found += [read_metric(one, worker.slot) for one in content["metrics"]]
        except (StatefunError, TimeoutError):
            # What is known is said: that they have begun again.
            pass
        registry = CollectorRegistry()
        registry.register(MetricFamilies(lambda: found))
        return HttpResponse(200, generate_latest(registry), CONTENT_TYPE)

    async def _readiness(self) -> HttpResponse:
        reasons: list[str] = []
        waits: list[str] = []
        try:
            async with asyncio.timeout(_ANSWER_S):
                for worker in self._leader.workers():
                    content = await worker.ask("readiness", {})
                    reasons += [f"worker {worker.slot}: {one}" for one in content["reasons"]]
                    waits += [f"worker {worker.slot}: {one}" for one in content["waits"]]
        except StatefunError as error:
            reasons.append(error.message)
        except TimeoutError:
            reasons.append("a worker does not answer")
        return HttpResponse(
            503 if reasons else 200,
            json.dumps(readiness(reasons, waits, is_shadow=self._is_shadow)).encode() + b"\n",
            "application/json",
        )
