"""The two clients of functions as a test makes them, each with an endpoint of its own."""

import asyncio

from statefun_runtime.adapters.descriptors import Descriptors
from statefun_runtime.adapters.http.client import HttpClient
from statefun_runtime.adapters.http.header_lines import Headers
from statefun_runtime.adapters.http.httpx_client import HttpxClient
from statefun_runtime.adapters.http.pool import HttpPool
from statefun_runtime.adapters.http.sigv4 import Signer
from statefun_runtime.adapters.http.slots import Slots
from statefun_runtime.adapters.http.tls import ClientTls
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.module.specs import OkHttpTransport


def make_pool(
    url: str,
    tasks: asyncio.TaskGroup,
    *,
    size: int = 2,
    connect_s: float = 5.0,
    ttl_s: float = 0.0,
    tls: ClientTls | None = None,
    descriptors: Descriptors | None = None,
) -> HttpPool:
    return HttpPool(
        EndpointUrl.parse(url),
        tasks.create_task,
        size=size,
        connect_s=connect_s,
        ttl_s=ttl_s,
        tls=tls,
        descriptors=descriptors,
    )


def make_lean(
    url: str,
    tasks: asyncio.TaskGroup,
    *,
    pool_size: int = 2,
    payload_bytes_max: int = 1000,
    tls: ClientTls | None = None,
    headers: Headers | None = None,
    signer: Signer | None = None,
    descriptors: Descriptors | None = None,
) -> HttpClient:
    return HttpClient(
        url,
        make_pool(url, tasks, size=pool_size, tls=tls, descriptors=descriptors),
        payload_bytes_max=payload_bytes_max,
        headers=headers,
        signer=signer,
    )


def make_okhttp(
    url: str,
    tasks: asyncio.TaskGroup,
    spec: OkHttpTransport | None = None,
    *,
    pool_size: int = 256,
    tls: ClientTls | None = None,
    headers: Headers | None = None,
    signer: Signer | None = None,
    descriptors: Descriptors | None = None,
) -> HttpxClient:
    return HttpxClient(
        url,
        tasks.create_task,
        spec or OkHttpTransport(),
        Slots(tasks.create_task, size=pool_size, descriptors=descriptors),
        tls=tls,
        headers=headers,
        signer=signer,
    )
