"""Fetches and builds what tests need from outside, ahead of them: what is missing is for the tests to tell."""

import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.conformance import test_go_golden as golden
from tests.conformance.sdks.servers import SDKS
from tests.support.function_servers import SERVERS
from tests.support.kafka import install, old, servers
from tests.support.objects import server as objects
from tests.support.provisions import Unavailable
from tests.support.sdks import go_sdk, javascript_sdk


def provisions() -> Iterator[Callable[[], object]]:
    """Yield what makes each, in the order in which tests ask; the longest comes last."""
    yield install.prepare
    yield servers.archive_classes
    for make in SERVERS.values():
        yield lambda make=make: make(0, b"")
    yield lambda: install.prepare(old.VERSION)
    for sdk in SDKS.values():
        yield lambda sdk=sdk: sdk.command(0)
    yield javascript_sdk.with_what_its_tests_need
    yield lambda: go_sdk.program("greeter")
    for name in golden.NEEDS:
        yield lambda name=name: golden.kitchen(name)
    yield objects.prepare


def main() -> None:
    # Otherwise each of the processes that run tests compiles all of them for itself.
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "tests"]
    subprocess.run(collect, stdout=subprocess.DEVNULL, check=False)
    for make in provisions():
        try:
            make()
        except Unavailable as error:
            print(f"not made ahead of the tests: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
