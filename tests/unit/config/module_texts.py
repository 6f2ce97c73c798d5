"""Texts of modules that the tests of `config` share."""

from statefun_runtime.config import LoadedModule, render
from statefun_runtime.connectors.modules import parse_module

REST = """
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: rest.fns/*
  urlPathTemplate: http://rest:8000/statefun
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: rest.io/in
  address: kafka:9092
  consumerGroupId: rest
  topics:
    - topic: rest
      valueType: rest.types/Thing
      targets: [rest.fns/thing]
"""


def load(text: str, *, strict: bool = False) -> LoadedModule:
    """Load a text to which nothing is added."""
    return parse_module(text.encode(), file="module.yaml", strict=strict)


def load_with_rest(text: str) -> LoadedModule:
    """Load components, to which an endpoint and an ingress without problems are added."""
    return load(text.rstrip("\n") + REST)


def printed(text: str) -> str:
    return render(load_with_rest(text).problems)
