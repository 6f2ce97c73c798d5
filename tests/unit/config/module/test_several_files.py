"""Several files and folders make one application."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from statefun_runtime.config import render
from statefun_runtime.connectors.modules import load_module
from tests.unit.config.module_texts import REST

ENDPOINT = """kind: io.statefun.endpoints.v2/http
spec:
  functions: shop.fns/*
  urlPathTemplate: http://shop:8000/statefun
"""
INGRESS = """kind: io.statefun.kafka.v1/ingress
spec:
  id: shop.io/orders
  address: kafka:9092
  consumerGroupId: shop
  topics:
    - topic: orders
      valueType: shop.types/Order
      targets: [shop.fns/order]
"""
EGRESS = """kind: io.statefun.kafka.v1/egress
spec:
  id: shop.io/receipts
  address: kafka:9092
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def problems(*locations: str) -> str:
    return render(load_module(*locations).problems)


def test_the_components_of_all_files_make_one_application():
    write({"a.yaml": ENDPOINT, "b.yaml": INGRESS, "c.yaml": EGRESS})

    loaded = load_module("a.yaml", "b.yaml", "c.yaml")

    assert loaded.problems == ()
    spec = loaded.required()
    assert [len(part) for part in (spec.endpoints, spec.ingresses, spec.egresses)] == [1, 1, 1]
    assert loaded.files == ("a.yaml", "b.yaml", "c.yaml")


def test_a_folder_means_its_own_module_and_those_one_level_below():
    write(
        {
            "modules/module.yaml": ENDPOINT,
            "modules/zoo/module.yaml": EGRESS,
            "modules/app/module.yaml": INGRESS,
            "modules/app/deeper/module.yaml": "nonsense",
            "modules/app/other.yaml": "nonsense",
            "modules/empty/readme": "",
        }
    )
    loaded = load_module("modules")

    assert loaded.spec is not None
    assert loaded.files == (
        "modules/module.yaml",
        "modules/app/module.yaml",
        "modules/zoo/module.yaml",
    )


def test_a_file_that_is_named_several_times_is_read_once():
    write({"modules/app/module.yaml": ENDPOINT + REST})
    Path("link.yaml").symlink_to("modules/app/module.yaml")

    loaded = load_module("modules", "modules/app/module.yaml", "modules/app", "link.yaml")

    assert loaded.problems == ()
    assert loaded.files == ("modules/app/module.yaml",)


def test_what_is_defined_in_two_files_is_told_with_both_places():
    write({"a.yaml": ENDPOINT + "---\n" + INGRESS, "b.yaml": EGRESS + "---\n" + EGRESS})
    write({"c.yaml": "\n" + INGRESS + "---\n" + ENDPOINT})

    assert problems("a.yaml", "b.yaml", "c.yaml") == (
        "b.yaml:8:7: egress id 'shop.io/receipts' is defined twice; first at b.yaml:3:7 [SF1016]\n"
        "    8 |   id: shop.io/receipts\n"
        "              ^\n"
        "\n"
        "c.yaml:4:7: ingress id 'shop.io/orders' is defined twice; first at a.yaml:8:7 [SF1016]\n"
        "    4 |   id: shop.io/orders\n"
        "              ^\n"
        "\n"
        "c.yaml:14:14: function pattern 'shop.fns/*' is defined twice; first at a.yaml:3:14 [SF1016]\n"
        "   14 |   functions: shop.fns/*\n"
        "                     ^"
    )


def test_problems_come_in_the_order_of_the_files_and_from_top_to_bottom():
    write(
        {"z.yaml": INGRESS.replace("shop.fns", "shp.fns"), "a.yaml": ENDPOINT + "  colour: red\n"}
    )

    assert [str(p).split(":", 3)[:3] for p in load_module("z.yaml", "a.yaml").problems] == [
        ["z.yaml", "9", "17"],
        ["a.yaml", "5", "3"],
    ]


def test_an_application_without_an_ingress_is_told_once_at_its_first_file():
    write({"a.yaml": ENDPOINT, "b.yaml": EGRESS})

    assert problems("a.yaml", "b.yaml") == (
        "a.yaml:1:1: no ingress is defined in these 2 files [SF1017]\n"
        "    1 | kind: io.statefun.endpoints.v2/http\n"
        "        ^\n"
        "hint: add a component of a kind such as io.statefun.kafka.v1/ingress"
    )


def test_while_a_file_cannot_be_read_nothing_is_said_to_be_missing():
    write({"a.yaml": ENDPOINT})

    assert problems("a.yaml", "gone.yaml") == (
        "gone.yaml:1:1: the module cannot be read: no such file or directory [SF1001]"
    )
