"""The limit of open files, and whose they are."""

import logging
import subprocess
import sys

import pytest

from statefun_runtime.adapters.descriptors import Descriptors, tell


@pytest.mark.parametrize(
    ("limit", "kept", "incoming", "outgoing"),
    [(65_536, 256, 16_320, 48_960), (1024, 256, 192, 576), (300, 150, 37, 113), (4, 2, 1, 1)],
)
def test_each_has_its_share_and_together_they_have_no_more_than_there_are(
    limit: int, kept: int, incoming: int, outgoing: int
):
    shares = Descriptors(limit)

    assert (shares.kept, shares.incoming_max, shares.outgoing_max) == (kept, incoming, outgoing)
    assert kept + incoming + outgoing == limit


def test_what_one_pool_has_another_cannot_have():
    shares = Descriptors(1024)
    counts = [500, 70]
    for at in range(2):
        shares.join(lambda at=at: counts[at])  # type: ignore[misc]
    assert shares.free() == 6
    counts[0] = 0
    assert shares.free() == 506


def test_a_module_whose_pools_cannot_be_had_is_told(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        tell(Descriptors(1024), 576)
        assert caplog.messages == []
        tell(Descriptors(1024), 577)
    assert caplog.messages == [
        "the endpoints may have 576 connections together, not 577: at most 1024 files may be open"
        " (raise it: `ulimit -n`, LimitNOFILE= of systemd)"
    ]


def test_the_limit_is_raised_to_what_the_system_gives():
    # In a process of its own: what was lowered here could not be raised again.
    program = (
        "import resource\n"
        "from statefun_runtime.adapters.descriptors import raise_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 900))\n"
        "print(raise_limit().limit, *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "900 900 900\n", done.stderr
