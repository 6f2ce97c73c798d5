"""`validate --connect`: what is tried, and how it is told; on loopback, with real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from statefun_runtime.app.checks import check_connections
from statefun_runtime.connectors.kafka.probe import Cluster, ClusterAway, ask_cluster
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.checks import Check
from statefun_runtime.core.module.specs import (
    AsyncTransport,
    EndpointSpec,
    FunctionPattern,
    TlsSpec,
)
from statefun_runtime.ports.module import ModuleSpec
from tests.support.provisions import ROOT
from tests.support.sockets import free_port

CERTIFICATES = ROOT / "tests" / "support" / "certificates"
ORDERS = KafkaIngressSpec(
    TypeName("shop.io", "orders"),
    "127.0.0.1:1",
    "shop",
    (TopicRoute("orders", "shop/Order", (TypeName("shop.fns", "order"),)),),
)


def endpoint(url: str, tls: TlsSpec | None = None, pattern: str = "shop.fns/*") -> EndpointSpec:
    namespace, name = pattern.split("/")
    transport = AsyncTransport(tls=tls or TlsSpec())
    function_pattern = FunctionPattern(namespace, None if name == "*" else name)
    return EndpointSpec(function_pattern, url, transport=transport)


def checks(*endpoints: EndpointSpec, timeout_s: float = 10.0) -> list[Check]:
    module = ModuleSpec(endpoints, (), ())
    return asyncio.run(check_connections(module, timeout_s=timeout_s))


@asynccontextmanager
async def server(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on loopback; what clients send is in the list."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield listening.sockets[0].getsockname()[1], received


def server_tls(name: str = "server") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem", CERTIFICATES / f"{name}.key")
    return context


async def tried(tls: ssl.SSLContext | None, url: str, spec: TlsSpec) -> list[Check]:
    async with server(tls) as (port, received):
        module = ModuleSpec((endpoint(url.format(port=port), spec),), (), ())
        found = await check_connections(module, timeout_s=10.0)
        assert not any(received), "nothing may be asked"
        return found


def test_an_endpoint_that_takes_connections_is_good_and_is_asked_nothing():
    (check,) = asyncio.run(tried(None, "http://127.0.0.1:{port}/statefun", TlsSpec()))
    assert check.is_good
    assert check.subject.startswith("endpoint shop.fns/* at http://127.0.0.1:")
    assert check.found.startswith("connected in ")


def test_an_endpoint_that_is_not_there_is_told_without_its_address():
    (check,) = checks(endpoint(f"http://127.0.0.1:{free_port()}/statefun"))
    assert not check.is_good
    assert check.found == "connection refused"
    assert check.hint == "start it, or mend its URL or certificates"


def test_a_name_that_does_not_exist_is_told():
    (check,) = checks(endpoint("http://no.such.host.invalid/statefun"))
    assert (check.is_good, check.found) == (False, "its name cannot be resolved")


def test_an_endpoint_that_does_not_answer_is_told_after_the_timeout():
    async def hanging() -> list[Check]:
        # It takes the connection, and says nothing to the beginning of TLS.
        async with server() as (port, _):
            module = ModuleSpec((endpoint(f"https://127.0.0.1:{port}/"),), (), ())
            return await check_connections(module, timeout_s=0.2)

    (check,) = asyncio.run(hanging())
    assert (check.is_good, check.found) == (False, "no answer within 0.2s")


def test_tls_and_its_certificate_are_looked_at():
    trusting = TlsSpec(trust_cacerts=str(CERTIFICATES / "server.pem"))
    url = "https://127.0.0.1:{port}/statefun"

    trust, good = asyncio.run(tried(server_tls(), url, trusting))
    (refused,) = asyncio.run(tried(server_tls(), url, TlsSpec()))

    assert trust == Check(
        f"trust_cacerts {CERTIFICATES / 'server.pem'} of endpoint shop.fns/*",
        True,
        "ends on 2126-10-31",
    )
    assert good.is_good
    assert good.found.endswith("its certificate ends on 2126-10-31")
    assert refused.found == "its certificate is not accepted: self-signed certificate"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ended.pem", "has ended on 2021-01-01"),
        ("future.pem", "only begins on 2100-01-01"),
        ("none.pem", "cannot be read: no such file or directory"),
        ("server.key", "holds no certificate"),
    ],
)
def test_certificates_that_do_not_count_are_told(name: str, found: str):
    spec = TlsSpec(trust_cacerts=str(CERTIFICATES / name))
    check = checks(endpoint("http://127.0.0.1:1/", spec))[0]
    assert (check.is_good, check.found) == (False, found)


def test_a_damaged_certificate_is_told(tmp_path: Path):
    (tmp_path / "x.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    check = checks(endpoint("http://127.0.0.1:1/", TlsSpec(str(tmp_path / "x.pem"))))[0]
    assert (check.is_good, check.found) == (False, "holds no readable certificate")


@pytest.mark.parametrize(("key", "is_good"), [("server.key", True), ("other.key", False)])
def test_a_key_must_fit_its_certificate(key: str, is_good: bool):
    spec = TlsSpec(client_cert=str(CERTIFICATES / "server.pem"), client_key=str(CERTIFICATES / key))
    certificate, fits, _ = checks(endpoint("http://127.0.0.1:1/", spec))
    assert certificate.is_good
    assert fits.is_good is is_good
    assert fits.subject == f"client_key {CERTIFICATES / key} of endpoint shop.fns/*"
    assert ("fits the certificate" in fits.found) is is_good
    assert ("does not belong to the certificate" in fits.found) is not is_good


def test_a_unix_domain_socket_is_tried(tmp_path: Path):
    (check,) = checks(endpoint(f"http+unix://{tmp_path}/fn.sock/statefun"))
    assert (check.is_good, check.found) == (False, "no such file or directory")


def test_a_host_that_depends_on_the_function_is_tried_for_each_function_that_is_known():
    url = "http://{function.name}.invalid:8000/"
    module = ModuleSpec(
        (endpoint(url), endpoint(url, pattern="a/one"), endpoint(url, pattern="b/*")), (ORDERS,), ()
    )
    found = asyncio.run(check_connections(module, timeout_s=10.0))

    assert [check.subject for check in found][:3] == [
        "endpoint shop.fns/* at http://order.invalid:8000/",
        "endpoint a/one at http://one.invalid:8000/",
        "endpoint b/* at http://{function.name}.invalid:8000/",
    ]
    assert found[2].is_good
    assert found[2].found == "not tried: its host is that of a function, and no ingress names one"


def test_a_cluster_that_is_away_is_told_for_each_component():
    module = ModuleSpec((), (ORDERS,), (KafkaEgressSpec(TypeName("a", "b"), "127.0.0.1:1"),))
    found = asyncio.run(check_connections(module, timeout_s=10.0))

    hint = "start it, or mend 'address' and 'properties'"
    assert found == [
        Check("ingress shop.io/orders at 127.0.0.1:1", False, "connection refused", hint),
        Check("egress a/b at 127.0.0.1:1", False, "connection refused", hint),
    ]


def test_a_file_of_a_property_that_cannot_be_used_is_told():
    properties = (("security.protocol", "SSL"), ("ssl.truststore.location", "/nowhere.jks"))
    module = ModuleSpec(
        (), (), (KafkaEgressSpec(TypeName("a", "b"), "127.0.0.1:1", properties=properties),)
    )
    (check,) = asyncio.run(check_connections(module, timeout_s=10.0))
    assert (check.is_good, check.found) == (
        False,
        "egress 'a/b': the truststore /nowhere.jks cannot be used: no such file or directory",
    )


class FakeAdmin:
    """A cluster of two brokers with the topic `orders`; notes what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[str] = []

    def make_admin(self, arguments: Any) -> "FakeAdmin":
        self.asked.append(f"admin {sorted(arguments)}")
        return self

    async def find_trouble(self, arguments: dict[str, object]) -> None:
        return None

    async def start(self) -> None:
        if self.error is not None:
            raise self.error

    async def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [1, 2]}

    async def describe_topics(self, topics: list[str] | None = None) -> list[dict[str, Any]]:
        self.asked.append(f"topics {topics}")
        return [{"topic": "orders", "partitions": [0, 1, 2]}, {"topic": "x", "partitions": [0]}]

    async def close(self) -> None:
        self.asked.append("close")


def test_a_cluster_is_asked_for_all_topics_because_naming_one_may_create_it():
    admin = FakeAdmin()
    cluster = asyncio.run(ask_cluster(ORDERS, ("orders", "gone"), admin))  # type: ignore[arg-type]

    assert cluster == Cluster(2, {"orders": 3}, ("gone",))
    assert admin.asked == [
        "admin ['bootstrap_servers', 'security_protocol']",
        "topics None",
        "close",
    ]


def test_a_cluster_that_takes_connections_but_does_not_answer_is_told():
    async def asked() -> None:
        async with server() as (port, _):
            spec = KafkaEgressSpec(TypeName("a", "b"), f"127.0.0.1:{port}")
            await ask_cluster(spec, (), FakeAdmin(KafkaConnectionError("x")))  # type: ignore[arg-type]

    with pytest.raises(ClusterAway) as away:
        asyncio.run(asked())
    assert str(away.value) == (
        "a broker takes connections, but does not answer as Kafka (KafkaConnectionError); "
        "look at 'security.protocol'"
    )


def test_a_module_without_anything_outside_has_no_checks():
    assert asyncio.run(check_connections(ModuleSpec((), (), ()), timeout_s=1.0)) == []
