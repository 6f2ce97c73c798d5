"""Whoever asks one that is gone hears of it, and waits for nothing."""

import asyncio

import pytest

from statefun_runtime.core.cluster.troubles import beginning_again
from statefun_runtime.engine.cluster.questions import Questions
from statefun_runtime.errors import UnavailableError


@pytest.mark.parametrize("is_asked_before", [True, False])
def test_one_that_is_gone_does_not_let_wait_for_an_answer(is_asked_before: bool):
    async def ask() -> None:
        questions = Questions()

        def say(number: int) -> None:
            if is_asked_before:
                questions.gone(beginning_again("gone"))

        if not is_asked_before:
            questions.gone(beginning_again("gone"))
        async with asyncio.timeout(1):
            await questions.ask(say)

    with pytest.raises(UnavailableError, match="gone"):
        asyncio.run(ask())
