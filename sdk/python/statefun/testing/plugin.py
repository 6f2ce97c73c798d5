"""The pytest plugin: a fixture that makes applications, and ends them with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from statefun.testing.application import Application


@pytest.fixture
def statefun_app() -> Iterator[Callable[..., Application]]:
    """Make applications under test: `app = statefun_app(functions, egresses=["shop/receipts"])`."""
    with ExitStack() as applications:

        def make(*arguments: Any, **options: Any) -> Application:
            return applications.enter_context(Application(*arguments, **options))

        yield make
