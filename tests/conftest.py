"""What tests of all kinds share: the broker, the Kinesis and S3 servers, Node, the stock SDKs, and workers that are ended afterwards.

Something that is missing skips the tests that need it, with one loud line in the
summary. STATEFUN_REQUIRE_KAFKA=1, STATEFUN_REQUIRE_STOCK_SDK=1, STATEFUN_REQUIRE_NODE=1, STATEFUN_REQUIRE_GO=1 and
STATEFUN_REQUIRE_S3=1 turn such a skip into a failure.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.support import stock_sdk
from tests.support.kafka.broker import KafkaBroker
from tests.support.kinesis.server import KinesisServer
from tests.support.objects.server import S3Server
from tests.support.provisions import ROOT, Unavailable
from tests.support.sdks import go_sdk, javascript_sdk
from tests.support.worker import Worker

# How long an example takes says how busy the machine is, and nothing about what is tried.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

_MISSING = pytest.StashKey[dict[str, str]]()
Command = Callable[..., list[str]]


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[KafkaBroker]:
    """One running broker for all; a test that stops it starts it again."""
    try:
        started = KafkaBroker().__enter__()
    except (Unavailable, TimeoutError) as error:
        skip_or_fail(pytestconfig, "Kafka", error)
    yield started
    started.close()


@pytest.fixture(scope="session")
def kinesis() -> Iterator[KinesisServer]:
    """One running Kinesis server for all."""
    with KinesisServer() as started:
        yield started


@pytest.fixture(scope="session")
def s3(pytestconfig: pytest.Config) -> Iterator[S3Server]:
    """One running S3 server for all; a test that stops it starts it again."""
    try:
        started = S3Server().start()
    except (Unavailable, TimeoutError) as error:
        skip_or_fail(pytestconfig, "S3", error)
    yield started
    started.close()


@pytest.fixture(scope="session")
def stock_python(pytestconfig: pytest.Config) -> Command:
    """Return the function that makes the command of a program on the stock Python SDK."""
    return _command(pytestconfig, "stock_sdk (Python)", stock_sdk.python_command)


@pytest.fixture(scope="session")
def stock_js(pytestconfig: pytest.Config) -> Command:
    """Return the function that makes the command of a program on the stock JavaScript SDK."""
    return _command(pytestconfig, "stock_sdk (JavaScript)", stock_sdk.js_command)


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Command:
    """Return the function that makes the command of a program on our JavaScript SDK."""
    return _command(pytestconfig, "node (JavaScript SDK)", javascript_sdk.command)


@pytest.fixture(scope="session")
def go_program(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """Return the function that builds a program on our SDK for Go; Go itself, and what it fetches, are there."""
    try:
        go_sdk.program("greeter")
    except Unavailable as error:
        skip_or_fail(pytestconfig, "Go", error)
    return go_sdk.program


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Return a factory of started workers: `worker(module, arguments=[…], directory=…)`."""
    workers: list[Worker] = []

    def start(
        module: str,
        *,
        directory: Path | None = None,
        is_ready_awaited: bool = True,
        **settings: object,
    ) -> Worker:
        folder = directory or tmp_path / f"worker-{len(workers)}"
        workers.append(Worker(module, folder, **settings))  # type: ignore[arg-type]
        return workers[-1].start(is_ready_awaited=is_ready_awaited)

    yield start
    for each in workers:
        each.close()


class Together:
    """Where several processes run the tests, what they skipped is told by the one that they report to."""

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["missing"] = session.config.stash.get(_MISSING, {})

    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", {}).get("missing", {})
        node.config.stash.setdefault(_MISSING, {}).update(told)


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Together())


# What waits for processes and clocks begins; the many small ones fill what is left at the end.
_LONGEST_FIRST = ("chaos", "integration", "conformance", "simulation", "contracts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, begin with the folders whose files take longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    folder = path.relative_to(ROOT / "tests").parts[0]
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for what, reason in config.stash.get(_MISSING, {}).items():
        terminalreporter.write_line(f"!!! {what} tests SKIPPED: {reason}", red=True, bold=True)


def _command(config: pytest.Config, what: str, make: Command) -> Command:
    try:
        make(Path("program"))
    except Unavailable as error:
        skip_or_fail(config, what, error)
    return make


def skip_or_fail(config: pytest.Config, what: str, error: Exception) -> NoReturn:
    """Skip the tests that need something which is missing, loudly; or fail, where it is required."""
    variable = f"STATEFUN_REQUIRE_{what.split()[0].upper()}"
    reason = " ".join(str(error).split())
    if os.environ.get(variable) == "1":
        pytest.fail(f"{what} is needed ({variable}=1): {reason}", pytrace=False)
    config.stash.setdefault(_MISSING, {})[what] = reason
    pytest.skip(f"{what}: {reason}")
