"""What a person reads: each case in problems/*.txt is a sentence, a module, and all that is printed about it.

An endpoint and an ingress without problems are added to each module (see module_texts).
"""

import re
from pathlib import Path

import pytest

from tests.unit.config.module_texts import printed

CASES = Path(__file__).parent / "problems"


def cases() -> list[object]:
    params = []
    for path in sorted(CASES.glob("*.txt")):
        for block in re.split(r"^## ", path.read_text(), flags=re.M)[1:]:
            sentence, body = block.split("\n", 1)
            module, expected = body.split(">>>\n")
            params.append(pytest.param(module, expected.strip("\n"), id=f"{path.stem}: {sentence}"))
    return params


@pytest.mark.parametrize(("module", "expected"), cases())
def test_problems_are_printed_like_this(module: str, expected: str) -> None:
    assert printed(module) == expected
