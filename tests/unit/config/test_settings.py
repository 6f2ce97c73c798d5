from dataclasses import replace
from pathlib import Path

import pytest

from statefun_runtime.config import (
    IgnoredOption,
    Settings,
    SettingsError,
    options_help,
    read_settings,
)
from statefun_runtime.config.options import OPTIONS

FLAGS = Settings(modules=("module.yaml",))


def refusal(flags: Settings, *assignments: str) -> str:
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
        async_max_per_task=32_768,
        batch_max_bytes=1_044_480,
        waiting_max_bytes=256 * 2**20,
        cache_max_addresses=100_000,
        overlay_max_bytes=64 * 2**20,
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
            "statefun.module.global-config.region=eu=west",
            "statefun.flink-job-name=shop",
            "execution.checkpointing.mode=EXACTLY_ONCE",
        ],
    )
    assert settings.ignored == (
        IgnoredOption(
            "statefun.feedback.memory.size",
            "statefun.runtime.waiting.max-bytes bounds the memory of messages",
        ),
        IgnoredOption(
            "statefun.module.global-config.region", "modules have no placeholders that would use it"
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
    assert refusal(FLAGS, "colour=red") == (
        "SF1031: unknown option 'colour'\n"
        "hint: the options are statefun.async.max-per-task, statefun.runtime.batch.max-bytes, "
        "statefun.runtime.waiting.max-bytes, statefun.runtime.waiting.max-disk-bytes, "
        "statefun.runtime.outbox.max-disk-bytes, "
        "statefun.runtime.unsaved.max-bytes, statefun.runtime.cache.max-addresses, "
        "statefun.runtime.overlay.max-bytes, statefun.runtime.idempotency.keep, "
        "execution.checkpointing.interval, state.checkpoints.num-retained"
    )


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
        read_settings(replace(FLAGS, checkpoint_interval_s=0.0, checkpoints_kept=0))

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
    flags = Settings(
        modules=("module.yaml",),
        partitions=129,
        metrics_port=70_000,
        log_level="inf",
        stop_timeout_s=-1.0,
        host="",
    )
    assert refusal(flags, "verbose") == (
        "SF1032: --partitions 129 is not from 1 to 128\n"
        "hint: each partition needs a key group of its own\n"
        "\n"
        "SF1032: --metrics-port 70000 is not from 0 to 65535\n"
        "\n"
        "SF1032: --log-level 'inf' is not one of debug, info, warning, error\n"
        "hint: did you mean 'info'?\n"
        "\n"
        "SF1032: --stop-timeout -1 is not a number of seconds from 0\n"
        "\n"
        "SF1032: --host is empty\n"
        "hint: 127.0.0.1 is this machine alone, 0.0.0.0 every network\n"
        "\n"
        "SF1030: --set 'verbose' is not of the form KEY=VALUE\n"
        "hint: write it like --set statefun.async.max-per-task=1000"
    )


@pytest.mark.parametrize("count", [0, 32_769])
def test_a_key_group_count_out_of_range_is_refused(count: int):
    assert refusal(Settings(modules=("m",), key_group_count=count)) == (
        f"SF1032: the key group count {count} is not from 1 to 32768"
    )


@pytest.mark.parametrize("stop_timeout_s", [float("nan"), float("inf")])
def test_a_stop_timeout_must_end(stop_timeout_s: float):
    assert refusal(Settings(modules=("m",), stop_timeout_s=stop_timeout_s)) == (
        f"SF1032: --stop-timeout {stop_timeout_s:g} is not a number of seconds from 0"
    )


def test_the_help_text_tells_every_option_that_has_an_effect():
    text = options_help()
    for option in OPTIONS:
        assert (f"  {option.key}=VALUE" in text) == (option.ignored is None)
    assert "  statefun.runtime.overlay.max-bytes=VALUE\n" in text
    assert "      memory size, default 64mb" in text
