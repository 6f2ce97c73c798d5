"""Embedded functions of a module: what runs them, started before anything else, and what stands against that."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import rmtree

from statefun_runtime.adapters.embedded.family import Family, ProgramTrouble
from statefun_runtime.adapters.embedded.in_process import InProcessClient
from statefun_runtime.adapters.embedded.in_process import Spawn as SpawnTask
from statefun_runtime.adapters.embedded.program import InProcessProgram, require_sdk
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.module.specs import AsyncTransport, EndpointSpec, FunctionPattern
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")

# Names of sockets are short: 104 bytes on some systems, with "/1000000.sock" behind the folder.
_FOLDER_NAME_MAX = 90


class Embedded:
    """The programs of a module's embedded endpoints; sockets are in `folder`, or elsewhere if its name is too long."""

    def __init__(self, module: ModuleSpec, spawn: SpawnTask, folder: Path) -> None:
        self._module = module
        self._spawn = spawn
        self._asked_folder = folder
        self._folder: Path | None = None
        self._families: dict[FunctionPattern, Family] = {}
        self._programs: dict[FunctionPattern, InProcessProgram] = {}

    async def __aenter__(self) -> "Embedded":
        """Have all functions served; raise ConfigError, and leave nothing behind, if some cannot be."""
        try:
            for endpoint in self._module.endpoints:
                if endpoint.program is not None:
                    await self._start_one(endpoint)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close()

    def family(self, endpoint: EndpointSpec) -> Family | None:
        """Return the processes of an endpoint; None if it is none of processes."""
        return self._families.get(endpoint.pattern)

    def in_process_client(self, endpoint: EndpointSpec) -> InProcessClient:
        """Return a client for one of the function types of an endpoint that is served here."""
        assert isinstance(endpoint.transport, AsyncTransport)
        bytes_max = endpoint.transport.payload_max_bytes
        program = self._programs[endpoint.pattern]
        return InProcessClient(partial(program.answer, bytes_max=bytes_max), self._spawn)

    @property
    def can_reload(self) -> bool:
        """Whether there are processes that can start anew."""
        return bool(self._families)

    def reload(self) -> None:
        """Have all processes start anew, with what their files hold now."""
        for family in self._families.values():
            family.reload()

    def metrics(self) -> Iterator[Metric]:
        """Yield the numbers of all processes."""
        for family in self._families.values():
            yield from family.metrics()

    async def _close(self) -> None:
        for family in self._families.values():
            await family.close()
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)

    async def _start_one(self, endpoint: EndpointSpec) -> None:
        program = endpoint.program
        assert program is not None
        require_sdk(f"endpoint '{endpoint.pattern}'")
        try:
            functions = await self._serve(endpoint, program.name, program.processes)
        except ProgramTrouble as trouble:
            raise ConfigError(
                f"endpoint '{endpoint.pattern}': {program.name} cannot be served: {trouble}",
                code="SF1161",
                hint="mend 'module', or run the worker where that module can be imported",
            ) from None
        _require_bound(endpoint, functions, self._module)

    async def _serve(self, endpoint: EndpointSpec, name: str, processes: int) -> list[str]:
        if not processes:
            program = self._programs[endpoint.pattern] = InProcessProgram(name)
            return program.functions
        family = Family(endpoint, self._spawn, self._socket_folder())
        self._families[endpoint.pattern] = family
        return await family.start()

    def _socket_folder(self) -> Path:
        if self._folder is None:
            folder = self._asked_folder.absolute()
            if len(os.fsencode(folder)) > _FOLDER_NAME_MAX:
                folder = Path(tempfile.mkdtemp(prefix="statefun-"))
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
            self._folder = folder
        return self._folder


def _require_bound(endpoint: EndpointSpec, functions: list[str], module: ModuleSpec) -> None:
    """Refuse an endpoint, or an ingress that sends to it, if the program does not bind the function type."""
    assert endpoint.program is not None
    bound = [TypeName.parse(name) for name in functions]
    there = f"{endpoint.program.name} binds {', '.join(functions) or 'no function'}"
    if not any(module.endpoint_for(each) is endpoint for each in bound):
        what = "binds it not" if endpoint.pattern.name else "binds no function of that namespace"
        raise _unbound(f"endpoint '{endpoint.pattern}'", f"{endpoint.program.name} {what}", there)
    for ingress in module.ingresses:
        for target in ingress.targets:
            if module.endpoint_for(target) is endpoint and target not in bound:
                subject = f"ingress '{ingress.id}' sends to '{target}'"
                raise _unbound(subject, f"{endpoint.program.name} binds it not", there)


def _unbound(subject: str, what: str, there: str) -> ConfigError:
    return ConfigError(f"{subject}, and {what}", code="SF1162", hint=there)
