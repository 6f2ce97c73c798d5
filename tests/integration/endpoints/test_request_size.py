"""A large state and a long backlog at a server that takes small requests only."""

import sys
from collections.abc import Callable

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.support.processes import Process
from tests.support.provisions import ROOT
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
ServeCommand = Callable[[list[str], int], Process]
_MESSAGES = 200
_MESSAGE = b"m" * 20_000


@pytest.mark.parametrize(
    ("server_bytes_max", "refused_max"),
    [
        # What aiohttp and nginx have when nobody says otherwise: nothing is ever refused.
        (1 << 20, 0),
        # A megabyte is refused, half of it, then what remains beside the state; and hardly ever again.
        (300_000, 6),
    ],
)
def test_states_count_and_what_was_refused_is_remembered(
    application: Applications,
    serve_command: ServeCommand,
    server_bytes_max: int,
    refused_max: int,
) -> None:
    port = free_port()
    program = ROOT / "tests" / "support" / "functions" / "keeping.py"
    served = serve_command([sys.executable, str(program), str(port), str(server_bytes_max)], port)
    url = f"http://127.0.0.1:{port}/statefun"
    # With a budget of a minute: one that was waited for would be seen.
    app = application(endpoint(url, "t/keeping", transport="call: 1min"), topic="out")

    for _ in range(_MESSAGES):
        assert app.put("t/keeping/hot", _MESSAGE, "text/plain")[0] == 200

    served.wait_for_line(rf"hot {_MESSAGES}$")
    assert served.output().count("refused") <= refused_max
    assert app.failures("status") <= refused_max
