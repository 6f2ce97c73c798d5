"""Clients of function types, which share the connections of their endpoint."""

from typing import assert_never

from statefun_runtime.adapters.embedded.child import PATH
from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.connection import Opener
from statefun_runtime.adapters.http.pool import HttpPool
from statefun_runtime.app.factories import Application
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.module.specs import AsyncTransport, FunctionPattern, OkHttpTransport
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.ports.function_client import FunctionClient

_Key = tuple[FunctionPattern, str, bool]


class Clients:
    """Makes clients; the types of one endpoint share a pool, but for those that its template sends elsewhere."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._pools: dict[_Key, HttpPool] = {}
        # Of the other transport, whose module takes long to import.
        self._slots: dict[_Key, object] = {}

    def make(self, function: Function) -> tuple[FunctionClient, int]:
        """Return the client of a function type, and how many connections its endpoint may have."""
        if function.endpoint.program is not None:
            return self._make_embedded(function)
        security = self._application.security[function.endpoint.pattern]
        if security.signer is not None:
            security.signer.start()
        url = EndpointUrl.parse(function.url)
        key = (function.endpoint.pattern, url.authority, url.is_tls)
        match function.endpoint.transport:
            case AsyncTransport() as transport:
                return self._make_lean(function, transport, url, key), transport.pool_size
            case OkHttpTransport() as transport:
                return self._make_okhttp(function, transport, key)
            case unknown:
                assert_never(unknown)

    def _make_embedded(self, function: Function) -> tuple[FunctionClient, int]:
        endpoint, embedded = function.endpoint, self._application.embedded
        assert embedded is not None
        assert isinstance(endpoint.transport, AsyncTransport)
        assert endpoint.program is not None
        family = embedded.family(endpoint)
        if family is None:
            here = embedded.in_process_client(endpoint)
            return here, here.capacity()
        url = EndpointUrl("", 0, PATH, "functions", socket=f"processes of {endpoint.program.name}")
        key = (endpoint.pattern, url.authority, False)
        client = self._make_lean(function, endpoint.transport, url, key, family.connect)
        return client, endpoint.transport.pool_size

    def _make_lean(
        self,
        function: Function,
        transport: AsyncTransport,
        url: EndpointUrl,
        key: _Key,
        opens: Opener | None = None,
    ) -> HttpClient:
        security = self._application.security[function.endpoint.pattern]
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = HttpPool(
                url,
                self._application.tasks.create_task,
                size=transport.pool_size,
                connect_s=transport.connect_s,
                ttl_s=transport.pool_ttl_s,
                tls=security.tls,
                descriptors=self._application.descriptors,
                opens=opens,
            )
        return HttpClient(
            url,
            pool,
            payload_bytes_max=transport.payload_max_bytes,
            bundle_bytes_max=self._application.settings.batch_max_bytes,
            headers=security.headers,
            signer=security.signer,
        )

    def _make_okhttp(
        self, function: Function, transport: OkHttpTransport, key: _Key
    ) -> tuple[FunctionClient, int]:
        from statefun_runtime.adapters.http.httpx_client import HttpxClient
        from statefun_runtime.adapters.http.slots import Slots

        security = self._application.security[function.endpoint.pattern]
        spawn = self._application.tasks.create_task
        slots = self._slots.get(key)
        if slots is None:
            slots = Slots(
                spawn, size=transport.pool_size, descriptors=self._application.descriptors
            )
            self._slots[key] = slots
        assert isinstance(slots, Slots)
        client = HttpxClient(
            function.url,
            spawn,
            transport,
            slots,
            tls=security.tls,
            headers=security.headers,
            signer=security.signer,
        )
        return client, slots.size
