"""The pages and the example about modules say what the loader does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from statefun_runtime.config import Code, SettingsError, read_settings, render
from statefun_runtime.config.flink import read_config
from statefun_runtime.config.module.components import COMPONENT
from statefun_runtime.config.module.failures import DEAD_LETTERS_SHAPE
from statefun_runtime.config.module.headers import AUTH_SHAPE
from statefun_runtime.config.module.routers import ROUTER_SHAPE
from statefun_runtime.config.module.transports import ASYNC_SHAPE, OKHTTP_SHAPE, TIMEOUTS_SHAPE
from statefun_runtime.config.options import OPTIONS
from statefun_runtime.config.reading.fields import Shape
from statefun_runtime.connectors.kafka.settings.reading import DELIVERY_SHAPE
from statefun_runtime.connectors.kafka.settings.startup import STARTUP_SHAPE, STARTUP_TYPES
from statefun_runtime.connectors.kafka.settings.topics import TOPIC_SHAPE
from statefun_runtime.connectors.kinesis.settings.aws_reading import (
    CREDENTIALS_SHAPE,
    CREDENTIALS_TYPES,
    REGION_SHAPE,
    REGION_TYPES,
)
from statefun_runtime.connectors.kinesis.settings.streams import STREAM_SHAPE
from statefun_runtime.connectors.modules import BUILT_IN as KINDS
from statefun_runtime.connectors.modules import load_module
from tests.support.packages import install
from tests.support.pages import settings_page
from tests.unit.config.module_texts import load, load_with_rest

ROOT = Path(__file__).parents[3]
ERRORS = ROOT / "docs/reference/errors"
SHAPES = (
    COMPONENT,
    ASYNC_SHAPE,
    OKHTTP_SHAPE,
    TIMEOUTS_SHAPE,
    AUTH_SHAPE,
    TOPIC_SHAPE,
    ROUTER_SHAPE,
    STARTUP_SHAPE,
    DELIVERY_SHAPE,
    DEAD_LETTERS_SHAPE,
    STREAM_SHAPE,
    REGION_SHAPE,
    CREDENTIALS_SHAPE,
    *(kind.shape for kind in KINDS.values()),
)


def block(page: str, language: str) -> str | None:
    found = re.search(rf"^```{language}\n(.*?)^```$", page, flags=re.M | re.S)
    return found[1] if found else None


def command_output(command: str) -> str:
    words = shlex.split(command)
    if "--set" in words:
        assignments, config = [words[-1]], None
    elif "--config" in words:
        assignments, config = [], read_config(words[-1])
    else:
        return render(load_module(words[-1]).problems)
    with pytest.raises(SettingsError) as raised:
        read_settings({"modules": ("module.yaml",)}, assignments, config)
    return str(raised.value)


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_page_whose_example_is_true(
    code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    page = (ERRORS / f"{code}.md").read_text()
    module, command, expected = (block(page, name) for name in ("yaml", "sh", "text"))

    assert page.startswith(f"# {code}: ")
    assert expected is not None
    if command is not None:
        assert command_output(command) + "\n" == expected
        return
    assert module is not None
    (tmp_path / "team").write_text("shop.io\n")
    monkeypatch.chdir(tmp_path)
    if code is Code.BAD_PACKAGE:
        # It looks installed, but what it needs is not there.
        install(tmp_path, "statefun-tick", "statefun_tick:KINDS")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "statefun_tick", raising=False)
    loaded = load(module) if code is Code.NOTHING_TO_RUN else load_with_rest(module)
    assert code in {problem.code for problem in loaded.problems}
    assert render(loaded.problems) + "\n" == expected


def test_the_example_has_no_problems():
    loaded = load_module(str(ROOT / "module.yaml.example"), strict=True)
    assert render(loaded.problems) == ""
    assert loaded.spec is not None


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.noun)
def test_every_field_is_in_the_reference_and_in_the_example(shape: Shape):
    reference = (ROOT / "docs/reference/module.md").read_text()
    example = (ROOT / "module.yaml.example").read_text()
    for field in shape.fields:
        assert re.search(rf"`(\S*[.])?{field}`", reference), field
        if field != "transactionTimeoutMillis":
            assert re.search(rf"^[ -]*{field}:", example, flags=re.M), field


@pytest.mark.parametrize("name", [*KINDS, *STARTUP_TYPES, *REGION_TYPES, *CREDENTIALS_TYPES])
def test_every_kind_and_type_is_in_the_reference(name: str):
    assert f"`{name}`" in (ROOT / "docs/reference/module.md").read_text()


def test_the_page_of_settings_is_current():
    assert settings_page.PAGE.read_text() == settings_page.page(), "run `make docs`"


def test_no_two_options_have_one_key():
    keys = [key for option in OPTIONS for key in (option.key, *option.aliases)]
    assert len(set(keys)) == len(keys)


def test_importing_config_brings_in_nothing_heavy():
    program = "import sys, statefun_runtime.config; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    heavy = {
        "asyncio",
        "aiobotocore",
        "aiokafka",
        "botocore",
        "google.protobuf",
        "prometheus_client",
        "rocksdict",
        "httptools",
    }
    assert not heavy.intersection(modules)
