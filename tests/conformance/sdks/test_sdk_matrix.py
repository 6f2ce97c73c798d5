"""What docs/reference/sdks.md says of each SDK is what that SDK does."""

import pytest

from tests.conformance.sdks.matrix import PAGE, answers_of, column, page
from tests.conformance.sdks.servers import SDKS
from tests.conftest import skip_or_fail
from tests.support.provisions import Unavailable

pytestmark = [pytest.mark.integration, pytest.mark.stock_sdk]

# What must be there, or the tests that need it are skipped, or fail where that is asked for.
NEEDS = {"javascript": "node", "go": "Go", "stock-go": "Go", "stock-java": "Java and Maven"}


@pytest.mark.parametrize("name", SDKS)
def test_an_sdk_does_what_the_page_says(name: str, pytestconfig: pytest.Config) -> None:
    try:
        answers = answers_of(name)
    except Unavailable as error:
        skip_or_fail(pytestconfig, f"{NEEDS.get(name, 'stock_sdk')} (matrix, {name})", error)
    said = column(PAGE.read_text(), name)

    assert len(answers) >= 40
    different = {
        title: (said.get(title), cell) for title, cell in answers.items() if said.get(title) != cell
    }
    assert different == {}, "if that is meant: make sdks"


def test_the_page_is_what_is_written_of_its_columns() -> None:
    text = PAGE.read_text()
    columns = {name: column(text, name) for name in SDKS}

    assert text == page({name: cells for name, cells in columns.items() if cells})
