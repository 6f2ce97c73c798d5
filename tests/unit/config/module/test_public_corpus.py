"""What the module files of public StateFun repositories look like, each kind of file in our own words.

261 distinct module files of 23 repositories were loaded: those of StateFun from 2.0 to 3.3, of its playground, and
of twenty-one projects by others. Each file here stands for some of them; its outcome is what StateFun makes of
it, or an improvement that docs/reference/legacy-formats.md tells.
"""

import pytest

from statefun_runtime.config import Severity, render
from statefun_runtime.config.legacy.upgrade import upgrade_text
from statefun_runtime.connectors.modules import parse_module
from tests.unit.config.module_texts import load

GOOD: dict[str, tuple[str, list[str]]] = {
    "a playground application": (
        """
kind: io.statefun.endpoints.v2/http
spec:
  functions: market.fns/*
  urlPathTemplate: http://market:1108/
  transport:
    type: io.statefun.transports.v1/async
---
kind: io.statefun.playground.v1/ingress
spec:
  port: 8090
---
kind: io.statefun.playground.v1/egress
spec:
  port: 8091
  topics:
    - sales
""",
        [],
    ),
    "a benchmark that listed topics at its egress, and a batch size at its transport": (
        """
kind: io.statefun.endpoints.v2/http
spec:
  functions: market.fns/*
  urlPathTemplate: http://market:8000/{function.name}
  transport:
    type: io.statefun.transports.v1/okhttp
    maxNumBatchRequests: 500
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: market.io/offers
  address: kafka:9092
  consumerGroupId: market
  startupPosition: {type: latest}
  topics:
    - topic: offers
      valueType: market.types/Offer
      targets: [market.fns/stall]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: market.io/sales
  topics: [sales]
  address: kafka:9092
""",
        ["SF1020", "SF1020"],
    ),
    "an application with several endpoints, a comment at its end, and the old spelling of a timeout": (
        """
kind: io.statefun.endpoints.v2/http
spec:
  functions: market.fns/stall
  urlPathTemplate: http://stall:8000/statefun
  maxNumBatchRequests: 10000
---
kind: io.statefun.endpoints.v1/http
spec:
  functions: market.fns/visitor
  urlPathTemplate: http://visitor:8000/statefun
  timeouts: {call: 1min}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: market.io/offers
  address: kafka-1:9092,kafka-2:9092
  consumerGroupId: market
  autoOffsetResetPosition: earliest
  startupPosition: {type: earliest}
  topics:
    - topic: offers
      valueType: io.statefun.types/string
      targets:
        - market.fns/stall
        - market.fns/visitor
  properties:
    - security.protocol: SASL_SSL
    - sasl.mechanism: PLAIN
    - sasl.jaas.config: 'org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b";'
---
kind: io.statefun.kafka.v1/egress
spec:
  id: market.io/sales
  address: kafka:9092
  deliverySemantic:
    type: exactly-once
    transactionTimeoutMillis: 100000
---
# that is all
""",
        [],
    ),
    "a producer property that the delivery semantic decides": (
        """
kind: io.statefun.endpoints.v2/http
spec: {functions: market.fns/*, urlPathTemplate: 'http://market'}
---
kind: io.statefun.playground.v1/ingress
spec: {}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: market.io/sales
  address: kafka:9092
  deliverySemantic: {type: exactly-once, transactionTimeout: 15min}
  properties:
    - transaction.timeout.ms: 7200000
""",
        ["SF1021"],
    ),
    "an example of StateFun 2.0, with states as names and a license above it": (
        """
# Licensed to whom it may concern.
version: "1.0"

module:
  meta:
    type: remote
  spec:
    functions:
      - function:
          meta:
            kind: http
            type: market/visitor
          spec:
            endpoint: http://visitor:8000/statefun
            states:
              - purse
            maxNumBatchRequests: 500
            timeout: 2min
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            id: market/offers
          spec:
            address: kafka:9092
            consumerGroupId: market
            topics:
              - topic: offers
                typeUrl: com.googleapis/market.Offer
                targets:
                  - market/visitor
    egresses:
      - egress:
          meta:
            type: statefun.kafka.io/generic-egress
            id: market/sales
          spec:
            address: kafka:9092
            deliverySemantic:
              type: exactly-once
              transactionTimeoutMillis: 100000
""",
        ["SF1061", "SF1062"],
    ),
    "an application on StateFun 2.2 with misspelt fields and additions of its own": (
        """
version: "2.0"
module:
  meta:
    type: remote
  spec:
    functions:
      - function:
          meta:
            kind: http
            type: market/visitor
            priority: high
          spec:
            endpoint: http://visitor:8000/statefun
            maxNumBatchRequest: 500
            states:
              - name: purse
                expireAfter: 60min
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            id: market/offers
          spec:
            address: kafka:9092
            consumerGroupId: market
            topics:
              - topic: offers
                typeUrl: com.googleapis/market.Offer
                targets: [market/visitor]
    egresses:
      - egress:
          meta:
            type: statefun.kafka.io/generic-egress
            id: market/sales
          spec:
            address: kafka:9092
            transactionTimeoutMillis: 100000
""",
        ["SF1061", "SF1020", "SF1020", "SF1062", "SF1020"],
    ),
    "an example of StateFun 3.0": (
        """
version: "3.0"
module:
  meta:
    type: remote
  spec:
    endpoints:
      - endpoint:
          meta:
            kind: http
          spec:
            functions: market/*
            urlPathTemplate: http://market:8000/statefun
            maxRetries: 3
            maxNumBatchRequests: 10000
            timeouts:
              call: 2min
    ingresses:
      - ingress:
          meta:
            type: io.statefun.kafka/ingress
            id: market/offers
          spec:
            address: kafka:9092
            consumerGroupId: market
            topics:
              - topic: offers
                valueType: market/Offer
                targets: [market/stall]
    egresses:
      - egress:
          meta:
            type: io.statefun.kafka/egress
            id: market/sales
          spec:
            address: kafka:9092
            deliverySemantic:
              type: exactly-once
              transactionTimeout: 15min
""",
        ["SF1020"],
    ),
}

BAD: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "a single endpoint, as tests of endpoints have it": (
        """
kind: io.statefun.endpoints.v1/http
spec:
  functions: market.fns/*
  urlPathTemplate: https://market.example/{function.name}
  timeouts: {call: 1minute, connect: 10seconds, read: 10second, write: 10seconds}
""",
        [(1, "SF1017")],
    ),
    "a file of ingresses alone, as tests of ingresses have it": (
        """
kind: io.statefun.kafka.v1/ingress
spec:
  id: market.io/offers
  address: kafka:9092
  consumerGroupId: market
  startupPosition: {type: earliest}
  topics:
    - {topic: offers, valueType: com.googleapis/market.Offer, targets: [market.fns/stall]}
  properties: [{a: 7}, {b: text}]
""",
        [(1, "SF1017")],
    ),
    "a bare ingress of a test of StateFun 2, which is no module": (
        """
ingress:
  meta: {type: statefun.kafka.io/protobuf-ingress, id: market/offers}
  spec: {address: 'kafka:9092', topics: [offers]}
""",
        [(1, "SF1017"), (1, "SF1017"), (2, "SF1005"), (2, "SF1005")],
    ),
    "components of kinds that only an extension knows": (
        """
kind: market.ext/pipeline
spec:
  id: market.fns/pipeline
---
kind: market.ext/stock
spec: {}
""",
        [(1, "SF1017"), (1, "SF1017"), (2, "SF1006"), (6, "SF1006")],
    ),
    "the names of version 3.0 in a component": (
        """
kind: io.statefun.endpoints.v2/http
spec: {functions: market.fns/*, urlPathTemplate: 'http://market'}
---
kind: io.statefun.kafka/ingress
spec: {id: market.io/offers}
""",
        [(5, "SF1006")],
    ),
    "a transport of an earlier draft": (
        """
kind: io.statefun.endpoints.v2/http
spec:
  functions: market.fns/*
  urlPathTemplate: http://market
  transport: {type: io.statefun.transports/okhttp}
---
kind: io.statefun.playground.v1/ingress
spec: {}
""",
        [(6, "SF1006")],
    ),
    "a dot where the slash of a kind belongs, and a list that is indented wrongly": (
        """
kind: io.statefun.endpoints.v2.http
spec: {functions: market.fns/*, urlPathTemplate: 'http://market'}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: market.io/offers
  consumerGroupId: market
    topics:
    - topic: offers
""",
        [(2, "SF1011"), (9, "SF1002")],
    ),
    "mutual TLS with a misspelt certificate": (
        """
kind: io.statefun.endpoints.v2/http
spec:
  functions: market.fns/*
  urlPathTemplate: https://market
  transport:
    client_certs: classpath:worker.crt
    client_key: classpath:worker.key
---
kind: io.statefun.playground.v1/ingress
spec: {}
""",
        [(8, "SF1015")],
    ),
    "a template that something else was to fill in": (
        """
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: market/visitor}
          spec: {endpoint: VISITOR_ADDRESS}
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: market/offers}
          spec:
            address: KAFKA_ADDRESS
            consumerGroupId: market
            topics: [{topic: offers, typeUrl: t/Offer, targets: [market/visitor]}]
    egresses:
      - egress:
          meta: {type: statefun.kafka.io/generic-egress, id: market/sales}
          spec:
            address: {BROKER}
""",
        [(9, "SF1013"), (14, "SF1010"), (21, "SF1010")],
    ),
    "one id for two ingresses": (
        """
version: "1.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: market/visitor}
          spec: {endpoint: 'http://visitor:8000/statefun'}
    ingresses:
      - &offers
        ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: market/in}
          spec:
            address: kafka:9092
            consumerGroupId: market
            topics: [{topic: offers, typeUrl: t/Offer, targets: [market/visitor]}]
      - ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: market/in}
          spec:
            address: kafka:9092
            consumerGroupId: market
            topics: [{topic: asks, typeUrl: t/Ask, targets: [market/visitor]}]
""",
        [(19, "SF1016")],
    ),
    "functions over gRPC beside others, and an ingress without a group": (
        """
version: "2.0"
module:
  meta:
    type: remote
  spec:
    functions:
      - function:
          meta: {kind: grpc, type: market/stall}
          spec: {host: localhost, port: 5000}
      - function:
          meta: {kind: http, type: market/visitor}
          spec: {endpoint: 'http://localhost:5959/statefun'}
    routers:
      - router:
          meta: {type: org.apache.flink.statefun.sdk/protobuf-router}
          spec:
            ingress: market/offers
            target: "market/visitor/{{$.name}}"
            messageType: market.Offer
            descriptorSet: classpath:market.bin
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/protobuf-ingress, id: market/offers}
          spec:
            address: kafka:9092
            topics: [offers]
            properties: [{consumer.group: greeter}]
            messageType: market.Offer
            descriptorSet: classpath:market.bin
""",
        [(9, "SF1064"), (26, "SF1009")],
    ),
    "a function of a kind that only a fork of StateFun has": (
        """
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http_locking, type: market/stall}
          spec: {endpoint: 'http://stall:8000/statefun'}
    ingresses: []
""",
        [(1, "SF1017"), (8, "SF1014")],
    ),
    "version 3.0 with the fields of its drafts and the types of StateFun 2": (
        """
version: "3.0"
module:
  meta:
    type: remote
  spec:
    endpoints:
      - endpoint:
          meta:
            kind: http
          spec:
            typename:
              namespace: market
            urlPathTemplate: http://{typename.function}:8000/statefun
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            id: market/offers
          spec:
            address: kafka:9092
""",
        [(12, "SF1009"), (14, "SF1013"), (18, "SF1006")],
    ),
    "version 3.0 with a router, which nothing but the first release of it took": (
        """
version: "3.0"
module:
  meta: {type: remote}
  spec:
    endpoints:
      - endpoint:
          meta: {kind: http}
          spec: {functions: market/*, urlPathTemplate: 'http://market:8000'}
    routers:
      - router:
          meta: {type: org.apache.flink.statefun.sdk/protobuf-router}
          spec: {ingress: market/offers, target: 'market/stall/{{$.stall}}'}
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/protobuf-ingress, id: market/offers}
          spec: {address: 'kafka:9092', topics: [offers]}
""",
        [(16, "SF1006")],
    ),
    "a version that StateFun planned and dropped": (
        """
version: "3.1"
module:
  meta: {type: remote}
  spec: {}
""",
        [(2, "SF1007")],
    ),
    "a module from before modules had versions": (
        """
module:
  meta: {type: remote}
  spec: {}
""",
        [(2, "SF1060")],
    ),
    "a metric of the documentation, with the spec beside the module": (
        """
version: "1.0"
module:
    meta:
    type: remote
spec:
    ingresses:
      - ingress:
        meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: market/offers}
""",
        [(4, "SF1060"), (6, "SF1060")],
    ),
    "the snippet of an SDK's README, with its gap left open": (
        """
functions:
  - function:
    meta:
      kind: http
      type: demo/greeter
    spec:
      endpoint: http://<where it is>/statefun
""",
        [(1, "SF1017"), (8, "SF1013")],
    ),
    "a timeout that is indented wrongly": (
        """
version: "1.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: market/stall}
      timeout: 2min
""",
        [(9, "SF1002")],
    ),
}


@pytest.mark.parametrize(("text", "warnings"), GOOD.values(), ids=GOOD)
def test_a_file_that_statefun_takes_is_read_and_can_be_upgraded(text: str, warnings: list[str]):
    loaded = load(text)

    assert loaded.spec is not None, render(loaded.problems)
    assert [problem.code.value for problem in loaded.problems] == warnings
    upgraded = parse_module(upgrade_text(text).encode(), file="module.yaml")
    assert upgraded.spec == loaded.spec


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_a_file_that_statefun_refuses_is_refused_where_it_is_wrong(
    text: str, expected: list[tuple[int, str]]
):
    loaded = load(text)
    errors = [p for p in loaded.problems if p.severity is Severity.ERROR]

    assert loaded.spec is None
    assert [(problem.line, problem.code.value) for problem in errors] == expected
