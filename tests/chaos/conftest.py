"""What chaos needs: a broker to stop, and a place to tell what was measured."""

from collections.abc import Iterator

import pytest

from tests.chaos.rig import IS_FULL, Tell
from tests.chaos.small_disk import SmallDisk
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

_TOLD = pytest.StashKey[list[str]]()
_SKIPPED = pytest.StashKey[str]()


@pytest.fixture
def only_full() -> None:
    """The slice has no time for this story."""
    if not IS_FULL:
        pytest.skip("runs in `make chaos`")


@pytest.fixture
def mortal(broker: KafkaBroker) -> Iterator[KafkaBroker]:
    """The broker, for a test that stops it; it runs again afterwards, however the test ended."""
    if not broker.is_ours:
        pytest.skip("the broker that KAFKA_BOOTSTRAP_SERVERS names is not ours to stop")
    yield broker
    if not broker.client.is_ready():
        broker.restart()


@pytest.fixture
def second_broker(mortal: KafkaBroker) -> Iterator[KafkaBroker]:
    """A cluster of its own."""
    with KafkaBroker() as second:
        yield second


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Return a function that puts a line about this test into the summary."""
    lines = request.config.stash.setdefault(_TOLD, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


@pytest.fixture
def small_disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallDisk]:
    """A disk of 64 MiB that only the worker sees."""
    folder = tmp_path_factory.mktemp("small-disk")
    try:
        disk = SmallDisk(folder / "worker" / "state", folder, size_mib=64)
    except Unavailable as error:
        request.config.stash[_SKIPPED] = str(error)
        pytest.skip(str(error))
    yield disk
    disk.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if reason := config.stash.get(_SKIPPED, None):
        terminalreporter.write_line(f"!!! full disk tests SKIPPED: {reason}", red=True, bold=True)
    for line in config.stash.get(_TOLD, []):
        terminalreporter.write_line(f"chaos  {line}")
