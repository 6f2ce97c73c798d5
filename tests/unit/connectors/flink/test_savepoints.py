"""Every row that a savepoint of a real job is known to have is read, and no other."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.connectors.flink.rows.savepoint import Savepoint
from tests.support.flink.savepoints import ENDS, NAMES, expected_rows, read_rows, unpacked


def lines(rows: Any) -> Counter[str]:
    return Counter(
        json.dumps({k: v for k, v in row.items() if k != "subtask"}, sort_keys=True) for row in rows
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_of_a_savepoint_are_those_that_it_is_known_to_have(name: str, tmp_path: Path):
    savepoint = Savepoint(unpacked(name, tmp_path), ENDS)
    read, expected = lines(read_rows(savepoint)), lines(expected_rows(name))
    assert (expected - read, read - expected) == (Counter(), Counter())
    assert savepoint.damages.found == []
