"""Whole applications as the integration tests run them: a module, a worker, and what goes in and out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.kinesis.server import KEY_ID, REGION, SECRET, KinesisServer
from tests.support.processes import wait_until
from tests.support.sockets import free_port, http_request
from tests.support.worker import Worker

GREET_REQUEST = "application/vnd.example/GreetRequest"


def endpoint(
    url: str, functions: str, *, transport: str = "call: 1s", threshold: int = 1000
) -> str:
    """Return an endpoint component; `transport` is the inside of a YAML flow mapping."""
    return f"""\
kind: io.statefun.endpoints.v2/http
spec:
  functions: {functions}
  urlPathTemplate: {url}
  maxNumBatchRequests: {threshold}
  transport: {{{transport}}}
"""


def playground(ingress_port: int, egress_port: int, *topics: str) -> str:
    return f"""\
kind: io.statefun.playground.v1/ingress
spec:
  port: {ingress_port}
---
kind: io.statefun.playground.v1/egress
spec:
  port: {egress_port}
  topics: [{", ".join(topics)}]
"""


def kafka_ingress(
    bootstrap: str,
    name: str,
    topics: Mapping[str, Sequence[str]],
    *,
    startup: str = "type: earliest",
    reset: str = "latest",
    group: str = "tests",
    unserved: Sequence[str] = (),
) -> str:
    """Return an ingress component `t/NAME`; `topics` are topics and the names of their targets in `t`.

    `unserved` are the targets that may have no endpoint.
    """
    routes = "".join(
        f"""\
    - topic: {topic}
      valueType: t/line
      targets: [{", ".join(f"t/{target}" for target in targets)}]
      unservedTargets: [{", ".join(f"t/{target}" for target in unserved)}]
"""
        for topic, targets in topics.items()
    )
    return f"""\
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/{name}
  address: {bootstrap}
  consumerGroupId: {group}
  autoOffsetResetPosition: {reset}
  startupPosition: {{{startup}}}
  topics:
{routes}"""


def kafka_egress(bootstrap: str, delivery: str = "type: at-least-once") -> str:
    return f"""\
kind: io.statefun.kafka.v1/egress
spec:
  id: t/records
  address: {bootstrap}
  deliverySemantic: {{{delivery}}}
"""


def kinesis_ingress(
    server: KinesisServer,
    name: str,
    streams: Mapping[str, Sequence[str]],
    *,
    startup: str = "type: earliest",
    interval_ms: int = 50,
    unserved: Sequence[str] = (),
) -> str:
    """Return an ingress component `t/NAME`; `streams` are streams and the names of their targets in `t`.

    `unserved` are the targets that may have no endpoint.
    """
    routes = "".join(
        f"""\
    - stream: {stream}
      valueType: t/line
      targets: [{", ".join(f"t/{target}" for target in targets)}]
      unservedTargets: [{", ".join(f"t/{target}" for target in unserved)}]
"""
        for stream, targets in streams.items()
    )
    return f"""\
kind: io.statefun.kinesis.v1/ingress
spec:
  id: t/{name}
{_aws(server)}
  startupPosition: {{{startup}}}
  clientConfigProperties:
    - flink.shard.getrecords.intervalmillis: {interval_ms}
    - flink.shard.discovery.intervalmillis: 500
  streams:
{routes}"""


def kinesis_egress(server: KinesisServer) -> str:
    return f"""\
kind: io.statefun.kinesis.v1/egress
spec:
  id: t/records
{_aws(server)}
"""


def _aws(server: KinesisServer) -> str:
    return f"""\
  awsRegion: {{type: custom-endpoint, endpoint: "{server.url}", id: {REGION}}}
  awsCredentials: {{type: basic, accessKeyId: {KEY_ID}, secretAccessKey: {SECRET}}}"""


def documents(*components: str) -> str:
    return "---\n".join(components)


class HttpApplication:
    """A worker with HTTP ingress and egress on free ports; started when it is made."""

    def __init__(
        self,
        endpoints: Sequence[str],
        directory: Path,
        *,
        topic: str,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.topic = topic
        self.ingress_port, self.egress_port = free_port(), free_port()
        module = documents(*endpoints, playground(self.ingress_port, self.egress_port, topic))
        self.worker = Worker(module, directory, arguments=arguments, env=env)
        self.start()

    def start(self) -> None:
        self.worker.start()
        for port in (self.ingress_port, self.egress_port):
            self.worker.process.wait_for_port(port)

    def restart(self) -> None:
        self.worker.stop_cleanly()
        self.start()

    def put(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """Send a message; return status and body of the answer."""
        answer = http_request(
            "PUT",
            f"http://127.0.0.1:{self.ingress_port}/{path}",
            body,
            headers={"Content-Type": content_type},
        )
        assert answer is not None, f"no answer to {path}:\n{self.worker.output()[-2000:]}"
        return answer

    def send(self, path: str, value: dict[str, object], content_type: str) -> None:
        """Send a message that has to be taken."""
        answer = self.put(path, json.dumps(value).encode(), content_type)
        assert answer == (200, b""), answer

    def greet(self, *names: str) -> None:
        for name in names:
            self.send(f"example/person/{name}", {"name": name}, GREET_REQUEST)

    def take(self) -> str | None:
        """Take one record off the egress, if one is there."""
        answer = http_request("GET", f"http://127.0.0.1:{self.egress_port}/{self.topic}")
        assert answer is not None, "the egress does not answer"
        status, body = answer
        return body.decode() if status == 200 else None

    def receive(self, count: int, *, timeout_s: float = 15.0) -> list[str]:
        """Take exactly so many records; what comes beyond them is found by `is_silent`."""
        taken: list[str] = []
        try:
            for _ in range(count):
                taken.append(wait_until(self.take, f"{count} records", timeout_s=timeout_s))
        except TimeoutError as error:
            tail = self.worker.output()[-2000:]
            raise TimeoutError(f"{error}: found {taken}\n{tail}") from None
        return taken

    def failures(self, cause: str, **labels: str) -> float:
        name = "statefun_functions_remoteInvocationFailures_total"
        return self.worker.metrics().total(name, cause=cause, **labels)

    def of_function(self, metric: str, name: str) -> float:
        """Return a metric of one function type in namespace `t`."""
        sample = f'statefun_functions_{metric}{{name="{name}",namespace="t"}}'
        return self.worker.metrics().get(sample, 0.0)

    def skipped(self, reason: str) -> float:
        return self.worker.metrics().total("statefun_ingress_skipped_total", reason=reason)

    def wait_until_idle(self, *, timeout_s: float = 15.0) -> None:
        """Return when no message waits and no request is out."""
        wait_until(self._is_idle, "an idle worker", timeout_s=timeout_s)

    def _is_idle(self) -> bool:
        metrics = self.worker.metrics()
        return (
            metrics.total("statefun_functions_numBacklog") == 0
            and metrics.total("statefun_functions_inflightAsyncOps") == 0
        )

    def close(self) -> None:
        self.worker.close()
