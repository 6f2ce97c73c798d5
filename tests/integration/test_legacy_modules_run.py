"""Modules from before StateFun 3.1 run: from topic to topic on a real broker, as their routers and ingresses say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from statefun_runtime.cli import main
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

Workers = Callable[..., Worker]
Functions = Callable[..., FaultyProcess]

MODULE = """
version: "1.0"
module:
  meta: {{type: remote}}
  spec:
    functions:
      - function:
          meta: {{kind: http, type: t/letter}}
          spec: {{endpoint: '{url}', states: [seen]}}
      - function:
          meta: {{kind: http, type: t/parcel}}
          spec: {{endpoint: '{url}'}}
    routers:
      - router:
          meta: {{type: org.apache.flink.statefun.sdk/protobuf-router}}
          spec:
            ingress: t/posted
            target: "t/{{{{$.kind}}}}/{{{{$.to}}}}"
            messageType: post.Item
            descriptorSet: classpath:post.desc
    ingresses:
      - ingress:
          meta: {{type: statefun.kafka.io/protobuf-ingress, id: t/posted}}
          spec:
            address: {broker}
            consumerGroupId: tests
            startupPosition: {{type: earliest}}
            topics: [{posted}]
            messageType: post.Item
            descriptorSet: classpath:post.desc
      - ingress:
          meta: {{type: statefun.kafka.io/routable-protobuf-ingress, id: t/sorted}}
          spec:
            address: {broker}
            consumerGroupId: tests
            startupPosition: {{type: earliest}}
            topics:
              - topic: {sorted}
                typeUrl: types.example/post.Item
                targets: [t/letter]
    egresses:
      - egress:
          meta: {{type: statefun.kafka.io/generic-egress, id: t/records}}
          spec:
            address: {broker}
"""


def descriptor_set() -> bytes:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="post.proto", package="post", syntax="proto3")
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="letter", number=0)
    kind.value.add(name="parcel", number=1)
    item = file.message_type.add(name="Item")
    common: dict[str, Any] = {"label": kinds.LABEL_OPTIONAL}
    item.field.add(name="to", number=1, type=kinds.TYPE_STRING, **common)
    item.field.add(name="kind", number=2, type=kinds.TYPE_ENUM, type_name=".post.Kind", **common)
    return descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()


def item(to: str, *, is_parcel: bool) -> bytes:
    return b"\x0a" + bytes([len(to)]) + to.encode() + (b"\x10\x01" if is_parcel else b"")


@pytest.mark.parametrize("is_upgraded", [False, True], ids=["as it is", "upgraded"])
def test_an_application_of_statefun_2_runs_with_its_protobuf_router(
    broker: KafkaBroker, worker: Workers, functions: Functions, tmp_path: Path, is_upgraded: bool
) -> None:
    posted, sorted_, out = (broker.unique_topic(name) for name in ("posted", "sorted", "out"))
    url = functions("tests.integration.scripted:tell").url
    module = MODULE.format(url=url, broker=broker.bootstrap, posted=posted, sorted=sorted_)
    folder = tmp_path / "post"
    folder.mkdir()
    (folder / "post.desc").write_bytes(descriptor_set())
    if is_upgraded:
        (folder / "old.yaml").write_text(module)
        new = folder / "new.yaml"
        assert main(["module", "upgrade", str(folder / "old.yaml"), "--output", str(new)]) == 0
        module = new.read_text()
    parcel, letter = item(out, is_parcel=True), item(out, is_parcel=False)

    worker(module, directory=folder)
    broker.produce(posted, [(None, parcel), ("x", b"\xff"), ("x", letter)])
    broker.produce(sorted_, [(out, letter)])

    assert sorted((record.value or b"").decode() for record in broker.consume(out, 3)) == [
        f"letter type.googleapis.com/post.Item {letter.hex()}",
        f"letter types.example/post.Item {letter.hex()}",
        f"parcel type.googleapis.com/post.Item {parcel.hex()}",
    ]
