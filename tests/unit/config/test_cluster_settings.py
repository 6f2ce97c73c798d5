"""What the flags of a cluster say together."""

from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.config.cluster import ClusterSettings, read_cluster
from statefun_runtime.errors import ConfigError


def flags(**given: Any) -> dict[str, Any]:
    return {"cluster": "shop", "kafka": "kafka:9092", "checkpoints": "s3://bucket/shop", **given}


def test_without_any_of_them_there_is_no_cluster():
    assert read_cluster({"checkpoints": "s3://bucket/shop"}) is None


def test_they_are_taken_out_and_the_place_of_checkpoints_is_left():
    fields = flags(workers=2)

    assert read_cluster(fields) == ClusterSettings("shop", "kafka:9092")
    assert fields == {"checkpoints": "s3://bucket/shop", "workers": 2}


@pytest.mark.parametrize(
    ("missing", "named"),
    [("cluster", "--cluster"), ("kafka", "--kafka"), ("checkpoints", "--checkpoints")],
)
def test_what_is_missing_is_named(missing: str, named: str):
    fields = flags()
    del fields[missing]

    with pytest.raises(ConfigError) as raised:
        read_cluster(fields)
    assert raised.value.code == "SF1142"
    assert f"a cluster needs {named}, too" in raised.value.message


def test_a_name_that_no_topic_can_have_is_refused():
    with pytest.raises(ConfigError, match="cannot be part of a topic's name"):
        read_cluster(flags(cluster="my shop"))


def test_properties_are_lines_as_kafkas_own_tools_take_them(tmp_path: Path):
    file = tmp_path / "client.properties"
    file.write_text("# how we log in\nsecurity.protocol = SASL_SSL\n\nsasl.mechanism=PLAIN\n")

    found = read_cluster(flags(kafka_properties=str(file)))

    assert found is not None
    assert found.properties == (("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN"))
    assert "SASL_SSL" not in repr(found)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file"), ("oops", ":1 is not of the form")]
)
def test_a_file_of_properties_that_is_none_is_told(tmp_path: Path, content: str | None, said: str):
    file = tmp_path / "client.properties"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError) as raised:
        read_cluster(flags(kafka_properties=str(file)))
    assert said in raised.value.message
