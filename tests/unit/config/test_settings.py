import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.cli.flags import remarks
from statefun_runtime.config import (
    IgnoredOption,
    Settings,
    SettingsError,
    options_help,
    read_settings,
)
from statefun_runtime.config.flink import parse_config, read_config
from statefun_runtime.config.options import OPTIONS, Option, OptionType
from statefun_runtime.core.checkpoints.store_url import StoreUrl

FLAGS = {"modules": ("module.yaml",)}


def refusal(flags: Mapping[str, Any], *assignments: str) -> str:
    with pytest.raises(SettingsError) as raised:
        read_settings(flags, assignments)
    return str(raised.value)


def test_without_flags_everything_has_its_default():
    settings = read_settings(FLAGS)

    assert settings == Settings(
        modules=("module.yaml",),
        state_dir=Path(".statefun"),
        partitions=8,
        key_group_count=128,
        host="127.0.0.1",
        metrics_port=None,
        log_level="info",
        stop_timeout_s=30.0,
        strict=False,
        async_max_per_task=65_536,
        batch_max_bytes=1_044_480,
        waiting_max_bytes=256 * 2**20,
        cache_max_addresses=100_000,
        overlay_max_bytes=32 * 2**20,
        ignored=(),
    )


def test_options_are_set_by_their_keys():
    settings = read_settings(
        FLAGS,
        [
            "statefun.async.max-per-task=7",
            "statefun.runtime.batch.max-bytes=64kb",
            "statefun.runtime.waiting.max-bytes=1g",
            "statefun.runtime.cache.max-addresses=0",
            " statefun.runtime.overlay.max-bytes = 99 ",
        ],
    )

    assert settings.async_max_per_task == 7
    assert settings.batch_max_bytes == 65_536
    assert settings.waiting_max_bytes == 2**30
    assert settings.cache_max_addresses == 0
    assert settings.overlay_max_bytes == 99
    assert settings.ignored == ()


@pytest.mark.parametrize("value", ["0", "-1"])
def test_no_limit_is_none(value: str):
    settings = read_settings(FLAGS, [f"statefun.async.max-per-task={value}"])
    assert settings.async_max_per_task is None


def test_of_two_values_for_a_key_the_last_one_counts():
    settings = read_settings(
        FLAGS, ["statefun.async.max-per-task=7", "statefun.async.max-per-task=8"]
    )
    assert settings.async_max_per_task == 8


def test_options_of_a_statefun_deployment_are_accepted_and_listed_as_ignored():
    settings = read_settings(
        FLAGS,
        [
            "statefun.feedback.memory.size=32 mb",
            "statefun.flink-job-name=shop",
            "execution.checkpointing.mode=EXACTLY_ONCE",
        ],
    )
    assert settings.ignored == (
        IgnoredOption(
            "statefun.feedback.memory.size",
            "statefun.runtime.waiting.max-bytes bounds the memory of messages",
        ),
        IgnoredOption("statefun.flink-job-name", "there is no Flink here"),
        IgnoredOption(
            "execution.checkpointing.mode",
            "checkpoints are always aligned and exactly-once, one at a time",
        ),
    )


@pytest.mark.parametrize("text", ["verbose", "=5", ""])
def test_what_is_not_key_and_value_is_refused(text: str):
    assert refusal(FLAGS, text) == (
        f"SF1030: --set {text!r} is not of the form KEY=VALUE\n"
        "hint: write it like --set statefun.async.max-per-task=1000"
    )


def test_an_unknown_key_is_refused_with_the_nearest_one():
    assert refusal(FLAGS, "statefun.async.max-per-tsk=1") == (
        "SF1031: unknown option 'statefun.async.max-per-tsk'\n"
        "hint: did you mean 'statefun.async.max-per-task'?"
    )


def test_an_unknown_key_far_from_all_is_refused_with_the_list():
    assert refusal(FLAGS, "paint.colour=red") == (
        "SF1031: unknown option 'paint.colour'\n"
        "hint: `statefun-worker --help` lists the options; a placeholder ${paint.colour} is set with "
        "statefun.module.global-config.paint.colour"
    )


def test_a_name_without_dots_sets_what_a_placeholder_stands_for():
    settings = read_settings(
        FLAGS,
        ["colour=red", "size=", "statefun.module.global-config.paint.kind=a=b", "colour=blue"],
        environment={"colour": "grey", "HOME": "/root"},
    )

    assert settings.variables == {
        "HOME": "/root",
        "colour": "blue",
        "size": "",
        "paint.kind": "a=b",
    }
    assert settings.variables_given == {"colour", "size"}
    assert "blue" not in repr(settings)


def test_flinks_options_for_checkpoints_have_their_effect():
    settings = read_settings(
        FLAGS,
        [
            "execution.checkpointing.interval=250ms",
            "state.checkpoints.num-retained=7",
            "statefun.runtime.idempotency.keep=2h",
        ],
    )

    assert settings.checkpoint_interval_s == 0.25
    assert settings.checkpoints_kept == 7
    assert settings.idempotency_keep_ms == 7_200_000
    assert settings.ignored == ()


def test_checkpoint_flags_must_make_sense():
    with pytest.raises(SettingsError) as refused:
        read_settings({**FLAGS, "checkpoint_interval_s": 0.0, "checkpoints_kept": 0})

    assert [error.message for error in refused.value.errors] == [
        "--checkpoint-interval must be more than 0",
        "--checkpoints-kept 0 is not at least 1",
    ]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "statefun.async.max-per-task=many",
            "statefun.async.max-per-task must be a whole number of 32 bits, found 'many'",
        ),
        (
            "statefun.async.max-per-task=2147483648",
            "statefun.async.max-per-task must be a whole number of 32 bits, found '2147483648'",
        ),
        (
            "statefun.runtime.cache.max-addresses=-1",
            "statefun.runtime.cache.max-addresses must be at least 0, found '-1'",
        ),
        (
            "statefun.runtime.batch.max-bytes=0",
            "statefun.runtime.batch.max-bytes must be at least 1, found '0'",
        ),
    ],
)
def test_values_of_the_wrong_type_or_range_are_refused(assignment: str, message: str):
    assert refusal(FLAGS, assignment) == f"SF1032: {message}"


def test_a_memory_size_that_cannot_be_read_is_refused_even_where_it_is_ignored():
    assert refusal(FLAGS, "statefun.feedback.memory.size=lots") == (
        "SF1032: statefun.feedback.memory.size: memory size 'lots' does not start with a number\n"
        "hint: write a whole number and a unit (b, kb, mb, gb, tb), such as 64mb"
    )


def test_everything_that_is_wrong_is_told_at_once():
    flags = {
        "partitions": 129,
        "metrics_port": 70_000,
        "log_level": "inf",
        "stop_timeout_s": -1.0,
        "host": "",
    }
    assert refusal(flags, "verbose") == (
        "SF1032: no module is named\n"
        "hint: a worker is run with --module FILE, a module is checked with validate FILE\n"
        "\n"
        "SF1032: --partitions 129 is not from 1 to 128\n"
        "hint: each partition needs a key group of its own\n"
        "\n"
        "SF1032: --metrics-port 70000 is not from 0 to 65535\n"
        "\n"
        "SF1032: --log-level 'inf' is not one of debug, info, warning, error\n"
        "hint: did you mean 'info'?\n"
        "\n"
        "SF1032: --stop-timeout -1 is not a duration\n"
        "\n"
        "SF1032: --host is empty\n"
        "hint: 127.0.0.1 is this machine alone, 0.0.0.0 every network\n"
        "\n"
        "SF1030: --set 'verbose' is not of the form KEY=VALUE\n"
        "hint: write it like --set statefun.async.max-per-task=1000"
    )


@pytest.mark.parametrize("count", [0, 32_769])
def test_a_key_group_count_out_of_range_is_refused(count: int):
    assert refusal({**FLAGS, "key_group_count": count}) == (
        f"SF1032: the key group count {count} is not from 1 to 32768"
    )


@pytest.mark.parametrize("stop_timeout_s", [float("nan"), float("inf")])
def test_a_stop_timeout_must_end(stop_timeout_s: float):
    assert refusal({**FLAGS, "stop_timeout_s": stop_timeout_s}) == (
        f"SF1032: --stop-timeout {stop_timeout_s:g} is not a duration"
    )


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.ignored is None], ids=lambda o: o.key
)
def test_an_option_sets_a_field_whose_default_it_tells(option: Option):
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    default = fields[option.field].default
    if option.type not in (OptionType.TEXT, OptionType.FOLDER, OptionType.STORE):
        scale = 1000 if option.field.endswith("_s") else 1
        assert option.default_value() == default * scale


def test_the_help_text_tells_every_option_that_has_an_effect():
    text = options_help()
    for option in OPTIONS:
        name = f"{option.key}NAME" if option.key.endswith(".") else option.key
        assert (f"  {name}=VALUE" in text) == (option.ignored is None)
    assert "  statefun.runtime.overlay.max-bytes=VALUE\n" in text
    assert "      memory size, default 32mb" in text


# ── a configuration file ──

FLAT = """\
# Flink's own comment: not an option
jobmanager.rpc.address: localhost   # the master
statefun.async.max-per-task: 7
execution.checkpointing.interval: 10sec
state.checkpoints.dir: file:///checkpoint-dir
state.savepoints.dir: "/savepoints"
parallelism.default: 3
statefun.module.global-config.region: eu
statefun.remote.module-name: file:/opt/app/module.yaml
env.java.opts: -Dx=y: z
"""
NESTED = """\
statefun:
  async: {max-per-task: 7}
  module.global-config:
    region: eu
  remote:
    module-name: file:/opt/app/module.yaml
execution:
  checkpointing:
    interval: 10sec
    dir: file:///checkpoint-dir
    savepoint-dir: /savepoints
parallelism.default: 3
jobmanager:
  rpc:
    address: localhost
env:
  java:
    opts: ["-Dx=y: z", "-Dv"]
empty:
"""


@pytest.mark.parametrize("text", [FLAT, NESTED], ids=["flat", "nested"])
def test_options_of_flinks_configuration_file_have_their_effect(text: str):
    settings = read_settings({}, config=parse_config(text, "conf.yaml"))

    assert settings.async_max_per_task == 7
    assert settings.checkpoint_interval_s == 10.0
    assert settings.state_dir == Path("/checkpoint-dir")
    assert settings.savepoints_dir == "/savepoints"
    assert settings.partitions == 3
    assert settings.variables == {"region": "eu"}
    assert settings.modules == ("file:/opt/app/module.yaml",)


def test_yaml_is_told_from_flat_lines_by_what_only_yaml_has():
    config = parse_config("statefun: {async: {max-per-task: 7}}\na.b: c#d\n", "config.yaml")
    assert [(entry.key, entry.text) for entry in config.entries] == [
        ("statefun.async.max-per-task", "7"),
        ("a.b", "c#d"),
    ]
    flat = parse_config("a.b: c#d\na.c: 'x: y'\n", "flink-conf.yaml")
    assert [(entry.key, entry.text) for entry in flat.entries] == [("a.b", "c"), ("a.c", "x: y")]


def test_what_has_no_effect_in_a_file_is_told_in_one_line():
    settings = read_settings(FLAGS, config=parse_config(FLAT, "flink-conf.yaml"))
    assert remarks(settings, frozenset()) == [
        "flink-conf.yaml: without effect here: jobmanager.rpc.address, env.java.opts"
    ]


def test_a_misspelt_option_of_statefun_is_told_with_the_nearest_one():
    config = parse_config("statefun.async.max-per-tsk: 7\n", "flink-conf.yaml")
    assert remarks(read_settings(FLAGS, config=config), frozenset()) == [
        "flink-conf.yaml: without effect here: "
        "statefun.async.max-per-tsk (did you mean 'statefun.async.max-per-task'?)"
    ]


def test_what_is_set_and_not_used_is_told_line_by_line():
    settings = read_settings(FLAGS, ["statefun.flink-job-name=x", "colour=red", "size=1"])
    assert remarks(settings, frozenset({"size"})) == [
        "--set statefun.flink-job-name has no effect: there is no Flink here",
        "--set colour has no effect: there is no placeholder ${colour} in the module",
    ]


def test_flags_win_over_set_and_set_over_the_file_and_the_file_over_defaults():
    config = parse_config(
        "parallelism.default: 2\nstate.checkpoints.num-retained: 2\n"
        "execution.checkpointing.interval: 2s\nstatefun.module.global-config.A: file\n"
        "statefun.module.global-config.B: file\n",
        "flink-conf.yaml",
    )
    assignments = ["parallelism.default=3", "state.checkpoints.num-retained=3", "A=set"]

    settings = read_settings(
        {**FLAGS, "partitions": 4}, assignments, config, {"A": "env", "B": "env", "C": "env"}
    )

    assert settings.partitions == 4
    assert settings.checkpoints_kept == 3
    assert settings.checkpoint_interval_s == 2.0
    assert settings.idempotency_keep_ms == 86_400_000
    assert settings.variables == {"A": "set", "B": "file", "C": "env"}


def test_a_folder_elsewhere_is_refused_unless_a_flag_decides():
    config = parse_config("state.checkpoints.dir: hdfs://name/x\n", "flink-conf.yaml")

    with pytest.raises(SettingsError) as refused:
        read_settings(FLAGS, config=config)
    assert str(refused.value) == (
        "SF1032: flink-conf.yaml:1:1: state.checkpoints.dir: only folders of this machine and s3:, gs: and az: can be "
        "used, found 'hdfs://name/x'\n"
        "hint: name a path or a file: URL"
    )
    settings = read_settings({**FLAGS, "state_dir": Path("here")}, config=config)
    assert settings.state_dir == Path("here")


def test_checkpoints_go_where_a_url_says():
    bucket = StoreUrl("s3", "bucket", "shop/one")
    assert read_settings({**FLAGS, "checkpoints": "s3://bucket/shop/one/"}).checkpoints == bucket
    assert read_settings({**FLAGS, "checkpoints": "file:///mnt/shop"}).checkpoints == Path(
        "/mnt/shop"
    )
    assert read_settings(FLAGS).checkpoints is None
    # Flink's names for it, and its option.
    settings = read_settings(FLAGS, ["state.checkpoints.dir=s3a://bucket/shop/one"])
    assert settings.checkpoints == bucket
    assert settings.state_dir == Path(".statefun")
    assert settings.savepoints == "s3://bucket/shop/one/savepoints"


def test_a_bucket_of_a_configuration_file_is_not_taken_where_a_flag_names_a_folder_or_a_shadow_runs():
    config = parse_config("state.checkpoints.dir: s3://bucket/x\n", "flink-conf.yaml")
    assert read_settings(FLAGS, config=config).checkpoints == StoreUrl("s3", "bucket", "x")
    assert read_settings({**FLAGS, "state_dir": Path("a")}, config=config).checkpoints is None
    assert read_settings({**FLAGS, "shadow": True}, config=config).checkpoints is None
    own = read_settings({**FLAGS, "shadow": True, "checkpoints": "s3://bucket/y"}, config=config)
    assert own.checkpoints == StoreUrl("s3", "bucket", "y")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s4://b/x", "'s4://b/x' has the scheme 's4', which is none of s3, gs, az and file"),
        ("bucket/x", "'bucket/x' is no URL: write it like s3://bucket/shop, or file:///mnt/shop"),
        ("s3://", "'s3://' names no bucket: write it like s3://bucket/shop"),
        ("s3:///x", "'s3:///x' names no bucket: write it like s3://bucket/shop"),
        ("s3://b!d/x", "'s3://b!d/x' names 'b!d', which cannot be the name of a bucket"),
        (
            "s3://bucket/a//b",
            "'s3://bucket/a//b' has '' between its slashes: letters, digits and . _ = + - can be there",
        ),
        (
            "s3://bucket/../b",
            "'s3://bucket/../b' has '..' between its slashes: letters, digits and . _ = + - can be there",
        ),
        (
            "s3://key:hushhush@bucket/x",
            "s3://… has credentials, marked by '@': credentials and the endpoint come from the environment",
        ),
        (
            "az://container/x?sig=hushhush",
            "az://… has a query, marked by '?': credentials and the endpoint come from the environment",
        ),
    ],
)
def test_a_url_of_no_store_is_refused_without_what_may_be_a_secret(url: str, message: str):
    told = refusal({**FLAGS, "checkpoints": url})
    assert told == f"SF1032: --checkpoints {message}"
    assert "hushhush" not in told


def test_a_savepoint_in_a_bucket_needs_the_bucket_of_the_checkpoints():
    assert refusal({**FLAGS, "from_savepoint": "s3://bucket/one"}) == (
        "SF1032: the savepoint's place s3://bucket/one is in a bucket, where the checkpoints are not\n"
        "hint: name the bucket with --checkpoints, or a folder for the savepoint"
    )


def test_statefuns_class_path_is_not_looked_at():
    config = parse_config("statefun.remote.module-name: classpath:module.yaml\n", "flink-conf.yaml")
    settings = read_settings(FLAGS, config=config)
    assert settings.modules == ("module.yaml",)
    assert [option.key for option in settings.ignored] == ["statefun.remote.module-name"]


def test_a_wrong_value_in_a_file_is_told_with_its_place():
    with pytest.raises(SettingsError) as refused:
        read_settings(FLAGS, config=parse_config("\nparallelism:\n  default: many\n", "c.yaml"))
    assert str(refused.value) == (
        "SF1032: c.yaml:3:3: parallelism.default must be a whole number of 32 bits, found 'many'"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b\n- c\n", "c.yaml:2:1: not valid YAML: expected <block end>, but found '-'"),
        ("- a\n- b\n", "c.yaml:1:1: the file is not one mapping of options"),
        ("a: {b: 1}\n---\nc: {d: 1}\n", "c.yaml:1:1: the file is not one mapping of options"),
        ("a:\n  b: 1\n  b: 2\n", "c.yaml:3:3: key 'b' is written twice; first at c.yaml:2:3"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text: str, message: str):
    with pytest.raises(SettingsError) as refused:
        read_settings(FLAGS, config=parse_config(text, "c.yaml"))
    assert str(refused.value).startswith(f"SF1075: {message}")


def test_a_file_is_found_by_its_name_or_in_a_folder(tmp_path: Path):
    (tmp_path / "flink-conf.yaml").write_text("parallelism.default: 3\n")
    for location in (tmp_path, tmp_path / "flink-conf.yaml"):
        config = read_config(str(location))
        assert config.name == str(tmp_path / "flink-conf.yaml")
        assert [entry.text for entry in config.entries] == ["3"]


def test_an_empty_file_says_nothing():
    assert parse_config("", "c.yaml").entries == ()
    assert parse_config("# nothing\n", "c.yaml").errors == ()


def test_a_file_that_cannot_be_read_is_told_with_everything_else(tmp_path: Path):
    (tmp_path / "bad").write_bytes(b"\xff")
    for location, reason in (
        (tmp_path / "none", "no such file or directory"),
        (tmp_path, "the folder has no config.yaml and no flink-conf.yaml"),
        (tmp_path / "bad", "it is not UTF-8"),
    ):
        with pytest.raises(SettingsError) as refused:
            read_settings(FLAGS, ["x.y=1"], read_config(str(location)))
        assert [error.code for error in refused.value.errors] == ["SF1075", "SF1031"]
        assert refused.value.errors[0].message == f"--config {location} cannot be read: {reason}"


@pytest.mark.parametrize("text", ["=latest", "orders=newest", "orders=earliest=latest"])
def test_a_topic_to_restart_is_named_with_where_it_goes_on(text: str):
    topic, _, where = text.partition("=")
    assert refusal({**FLAGS, "restarted_topics": (text,)}) == (
        f"SF1032: --restart-topic {topic}={where} is not of the form TOPIC or TOPIC=earliest|latest"
    )


def test_a_topic_is_restarted_at_its_beginning_unless_something_else_is_said():
    flags = {**FLAGS, "restarted_topics": ("orders", "returns=latest")}

    assert read_settings(flags).restarts == {"orders": "earliest", "returns": "latest"}
