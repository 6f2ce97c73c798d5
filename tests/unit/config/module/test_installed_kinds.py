"""Kinds that installed packages bring."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.config import render
from statefun_runtime.config.module.installed import (
    InstalledEgress,
    InstalledIngress,
    installed_kinds,
)
from statefun_runtime.connectors.modules import parse_module
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError
from tests.fakes.contexts import ingress_context
from tests.support.packages import install
from tests.support.provisions import ROOT
from tests.unit.config.module_texts import REST, load_with_rest

TICKS = """kind: example.tick.v1/ingress
spec:
  id: example/ticks
  every: 200ms
  targets: [rest.fns/thing]
"""
SOURCE = """
from statefun_runtime.components import ComponentKind, Role, Shape, read_id
from dataclasses import dataclass
@dataclass(frozen=True)
class Spec:
    id: object
    token: str | None
    def build(self, context):
        return None
def read(fields):
    return Spec(read_id(fields, "egress id"), fields.text("token"))
KIND = ComponentKind("test.k/egress", Role.EGRESS, Shape("test egress", ("id", "token")), read)
"""
CONTEXT: Any = None
EGRESS = """kind: test.k/egress
spec:
  id: test/out
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, into which packages can be installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def _tick(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples" / "tick")
    install(site, "statefun-tick", "statefun_tick:KINDS")


@pytest.mark.usefixtures("_tick")
def test_a_package_brings_a_kind():
    loaded = load_with_rest(TICKS)

    assert loaded.problems == ()
    spec = loaded.required().ingresses[0]
    assert isinstance(spec, InstalledIngress)
    assert (str(spec.id), spec.kind) == ("example/ticks", "example.tick.v1/ingress")
    assert spec.package == "the package 'statefun-tick' 0.1"
    assert (spec.spec.every_s, spec.spec.targets) == (0.2, (TypeName("rest.fns", "thing"),))


@pytest.mark.usefixtures("_tick")
def test_the_module_of_the_example_is_good():
    path = ROOT / "examples" / "tick" / "module.yaml"
    loaded = parse_module(path.read_bytes(), file="module.yaml", strict=True)
    assert render(loaded.problems) == ""


@pytest.mark.usefixtures("_tick")
def test_what_a_package_reads_is_checked_like_everything_else():
    text = TICKS.replace("200ms", "200 parsecs").replace("rest.fns/thing", "a/b") + "  evry: 1s\n"
    assert (
        render(load_with_rest(text).problems)
        == """\
module.yaml:4:10: every: duration '200 parsecs' has the unknown unit 'parsecs' [SF1012]
    4 |   every: 200 parsecs
                 ^
hint: write a whole number and a unit (d, h, min, s, ms, µs, ns), such as 90s or 200ms

module.yaml:5:13: no endpoint serves the target 'a/b' [SF1022]
    5 |   targets: [a/b]
                    ^
hint: endpoints serve rest.fns/*

module.yaml:6:3: warning: unknown field 'evry' in tick ingress 'example/ticks' [SF1020]
    6 |   evry: 1s
          ^
hint: did you mean 'every'?"""
    )


@pytest.mark.usefixtures("_tick")
def test_the_ingress_counts_on_from_its_checkpoint(tmp_path: Path):
    spec = load_with_rest(TICKS).required().ingresses[0]
    assert isinstance(spec, InstalledIngress)
    delivered: list[Any] = []

    class Router:
        def resolve(self, function_type: TypeName) -> TypeName:
            return function_type

        def deliver(self, function: Any, function_id: str, invocation: bytes) -> None:
            delivered.append((str(function), function_id, invocation[-2:]))

    context: Any = Router()
    ingress: Any = spec.build(ingress_context(context, tmp_path, {"ticks": 41}))
    ingress._tick()

    assert delivered == [("rest.fns/thing", "clock", b"41")]
    assert ingress.positions() == {"ticks": 42}


def test_a_secret_of_a_package_is_read_and_not_shown(site: Path):
    install(site, "tester", "tester_a:KIND", source=SOURCE)
    text = f"{EGRESS}  token: ${{TOKEN}}{REST}"
    loaded = parse_module(text.encode(), file="m", variables={"TOKEN": "hunter2"})
    (spec,) = loaded.required().egresses
    assert isinstance(spec, InstalledEgress)
    assert (spec.spec.token, type(spec.spec.token)) == ("hunter2", str)
    assert loaded.secrets == (("hunter2", "${TOKEN}"),)


def test_a_misspelt_kind_of_a_package_is_told_with_the_nearest_one(site: Path):
    install(site, "tester", "tester_b:KIND", source=SOURCE)
    told = render(load_with_rest(EGRESS.replace("test.k/egress", "test.k/egres")).problems)
    assert "unknown kind 'test.k/egres'" in told
    assert "hint: did you mean 'test.k/egress'?" in told


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("KIND = 5", "it gives int, not a ComponentKind"),
        ("def KIND(): return [None]", "it gives NoneType, not a ComponentKind"),
        (
            SOURCE.replace("test.k/", "test.k."),
            "ValueError: 'test.k.egress' is not of the form 'namespace/name'",
        ),
        (
            SOURCE.replace("Role.EGRESS", "Role.ENDPOINT"),
            "the kind 'test.k/egress' is an endpoint; only ingresses and egresses can be added",
        ),
        ("x = 1", "AttributeError: module 'tester_{n}' has no attribute 'KIND'"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(site: Path, source: str, what: str):
    number = f"c{abs(hash(what))}"
    install(site, "tester", f"tester_{number}:KIND", source=source)

    told = render(load_with_rest(EGRESS).problems)

    assert "module.yaml:1:7: unknown kind 'test.k/egress' [SF1006]" in told
    assert (
        f"module.yaml:1:7: the package 'tester' 0.1 cannot be used, 'tester_{number}:KIND': "
        f"{what.replace('{n}', number)} [SF1076]\n"
    ) in told
    assert "hint: install another version of it, or take it away" in told


def test_a_package_that_cannot_be_used_does_not_matter_to_who_does_not_need_it(site: Path):
    install(site, "tester", "tester_d:KIND", source="import no_such_library")
    assert load_with_rest("").problems == ()


def test_a_reader_that_fails_is_a_problem_of_the_package(site: Path):
    source = SOURCE.replace("return Spec", "raise KeyError('oops')\n    return Spec")
    install(site, "tester", "tester_e:KIND", source=source)
    assert (
        render(load_with_rest(EGRESS).problems)
        == """\
module.yaml:3:3: the package 'tester' 0.1 failed to read this test egress: KeyError: 'oops' [SF1076]
    3 |   id: test/out
          ^
hint: this is a mistake in the package: tell those who made it, or install another version"""
    )


def test_two_packages_with_one_kind_are_told(site: Path):
    install(site / "one", "one", "tester_f:KIND", source=SOURCE)
    install(site / "two", "two", "tester_g:KIND", source=SOURCE)
    import sys

    sys.path[:0] = [str(site / "one"), str(site / "two")]
    try:
        failures = installed_kinds().failures
    finally:
        del sys.path[:2]
    assert failures == (
        "the package 'two' 0.1 and the package 'one' 0.1 both bring the kind 'test.k/egress'",
    )


@dataclass(frozen=True)
class OwnSpec:
    """What a package may read: it is made by `make`."""

    make: Callable[[], Any]
    id: TypeName

    def build(self, context: object) -> Any:
        return self.make()


def own(make: Callable[[], Any]) -> InstalledIngress:
    return InstalledIngress(OwnSpec(make, TypeName("a", "b")), "t.k/ingress", "the package 'x' 1.0")


def fails() -> None:
    raise RuntimeError("no such device")


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (fails, "RuntimeError: no such device"),
        (
            lambda: "text",
            "what it made is a str without close, completed, metrics, positions, run, start",
        ),
    ],
)
def test_a_package_that_makes_no_ingress_is_named(build: Any, what: str):
    with pytest.raises(ConfigError) as refused:
        own(build).build(CONTEXT)
    assert str(refused.value) == (
        f"SF1077: the package 'x' 1.0 could not make the ingress 'a/b': {what}\n"
        "hint: this is a mistake in the package: tell those who made it, or install another version"
    )


def test_an_error_of_the_package_for_the_operator_is_passed_on():
    def refuses() -> None:
        raise ConfigError("the device is not plugged in")

    with pytest.raises(ConfigError, match="not plugged in"):
        own(refuses).build(CONTEXT)
