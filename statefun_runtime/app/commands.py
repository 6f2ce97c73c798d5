"""What a running worker does when it is asked through its admin socket."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.admin.admin_socket import Arguments, Command
from statefun_runtime.app.dead_letters import parse_letter
from statefun_runtime.core.checkpoints.store_url import is_store_url
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.engine.dispatch.parked import ParkedAddresses, Selection
from statefun_runtime.engine.dispatch.replay import Replay
from statefun_runtime.engine.status import Status
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import ConfigError


def make_commands(worker: Worker, savepoints: str, *, shadow: str = "") -> dict[str, Command]:
    """Return the commands by name; `shadow` says how the worker is one, if it is."""
    parts = worker.parts
    parked = ParkedAddresses(parts.exchange, parts.checkpointer, parts.clock)
    status = Status(parts, worker.readiness)
    replay = Replay(parts.ingress_context, parts.checkpointer)

    async def savepoint(arguments: Arguments) -> dict[str, Any]:
        place = arguments.get("folder") or f"{savepoints}/{datetime.now():%Y%m%d-%H%M%S}"
        place = absolute_place(place)
        made = await parts.checkpointer.savepoint(place)
        return {"folder": place, "epoch": made.epoch}

    async def parked_list(arguments: Arguments) -> dict[str, Any]:
        return parked.show(_selection(arguments), limit=int(arguments["limit"]))

    async def replay_letters(arguments: Arguments) -> dict[str, Any]:
        return await replay.replay(
            [parse_letter(line, "the request") for line in arguments["letters"]]
        )

    async def show_status(arguments: Arguments) -> dict[str, Any]:
        return {"shadow": shadow, **await status.show(limit=int(arguments["limit"]))}

    async def retry(arguments: Arguments) -> dict[str, Any]:
        text = str(arguments["what"])
        # An address has two slashes or more, a function type one, a URL says so.
        if "://" in text or text.count("/") < 2:
            return await status.retry_endpoint(text)
        return await status.retry_address(parse_address(text))

    return {
        "status": show_status,
        "retry": retry,
        "savepoint": savepoint,
        "parked-list": parked_list,
        "parked-release": _selecting(parked.release),
        "parked-skip": _selecting(parked.skip),
        "replay": replay_letters,
    }


def absolute_place(place: str) -> str:
    """Return a place of savepoints as whoever runs elsewhere has to know it."""
    return place if is_store_url(place) else str(Path(place).absolute())


def _selecting(command: Callable[[Selection], Any]) -> Command:
    async def run(arguments: Arguments) -> dict[str, Any]:
        result: dict[str, Any] = await command(_selection(arguments))
        return result

    return run


def _selection(arguments: Arguments) -> Selection:
    """Read which addresses are meant; raise ConfigError if that cannot be read."""
    address, function_type = arguments.get("address"), arguments.get("function")
    if address:
        return Selection(address=parse_address(address))
    try:
        return Selection(function_type=TypeName.parse(function_type) if function_type else None)
    except ValueError as error:
        raise ConfigError(f"function type {error}", code="SF1110") from None


def parse_address(text: str) -> Address:
    """Read `namespace/name/id`, where an id may have slashes; raise ConfigError if it is none."""
    namespace, _, rest = text.partition("/")
    name, slash, function_id = rest.partition("/")
    if not name or not slash:
        raise ConfigError(
            f"address {text!r} is not of the form 'namespace/name/id'",
            code="SF1110",
            hint="`statefun-worker parked list` shows addresses as they are to be written",
        )
    return Address(TypeName(namespace, name), function_id)
