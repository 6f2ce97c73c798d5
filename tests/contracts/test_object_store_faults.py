"""An object store that is slow, away, throttles or loses answers: what is asked of it is asked again, for a while."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.object_store import ObjectStore
from statefun_runtime.adapters.storage.store_requests import Patience
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.checkpoints.store_url import StoreUrl
from statefun_runtime.errors import ConfigError, CorruptionError, UnavailableError
from tests.support.loops import on_a_loop
from tests.support.objects.proxy import Fault, FaultyStore
from tests.support.objects.server import SECRET, S3Server
from tests.support.sockets import free_port

LITTLE = Patience(
    connect_s=1.0, request_s=0.5, total_s=3.0, start_s=1.0, pause_first_s=0.05, pause_max_s=0.2
)


# For what is large, on a machine that has much else to do.
MUCH = replace(LITTLE, connect_s=20.0, request_s=20.0, total_s=60.0)


def store_at(
    url: StoreUrl, scratch: Path, *, patience: Patience = LITTLE, **options: Any
) -> ObjectStore:
    return ObjectStore(url, in_a_thread, scratch=scratch, options=options, patience=patience)


@asynccontextmanager
async def faulty(
    s3: S3Server,
    scratch: Path,
    *faults: Fault,
    otherwise: Fault = Fault.NONE,
    patience: Patience = LITTLE,
) -> AsyncGenerator[tuple[ObjectStore, FaultyStore], None]:
    async with FaultyStore(s3.port, faults, otherwise=otherwise) as proxy:
        url = StoreUrl("s3", s3.new_bucket(), "shop")
        yield store_at(url, scratch, patience=patience, **s3.options(port=proxy.port)), proxy


@pytest.mark.parametrize(
    "fault", [fault for fault in Fault if fault is not Fault.NONE], ids=lambda fault: fault.name
)
@on_a_loop
async def test_what_fails_now_and_then_is_done_all_the_same(
    s3: S3Server, tmp_path: Path, fault: Fault
):
    async with faulty(s3, tmp_path) as (store, proxy):
        proxy.faults = [fault, fault]
        stored = await store.put([b"content"])
        proxy.faults = [fault]
        assert await store.get(stored.id) == b"content"
        proxy.faults = [fault]
        assert await store.ids() == {stored.id}
        proxy.faults = [fault]
        await store.delete([stored.id])
        assert await store.ids() == set()
        assert proxy.faults == []


@on_a_loop
async def test_a_part_of_a_large_object_that_fails_is_sent_again_and_the_others_are_not(
    s3: S3Server, tmp_path: Path
):
    content = [bytes([number]) * 4_000_000 for number in range(6)]
    faults = (Fault.NONE, Fault.SLOW_DOWN, Fault.CUT)
    async with faulty(s3, tmp_path, *faults, patience=MUCH) as (store, proxy):
        stored = await store.put(content)
        parts = [request for request in proxy.requests if "partNumber" in request]

        assert len(parts) == 3 + 2
        assert await store.get(stored.id) == b"".join(content)


@pytest.mark.parametrize("fault", [Fault.FAILED_AFTER, Fault.LOST_ANSWER, Fault.SLOW_DOWN])
@on_a_loop
async def test_who_holds_a_place_knows_it_also_when_the_answer_was_lost(
    s3: S3Server, tmp_path: Path, fault: Fault
):
    async with faulty(s3, tmp_path, fault) as (store, proxy):
        assert await store.hold(b"first", instead_of=None)
        # The first request looks who held it before.
        proxy.faults = [Fault.NONE, fault]
        assert await store.hold(b"second", instead_of=b"first")
        assert await store.holder() == b"second"


@pytest.mark.parametrize("otherwise", [Fault.SLOW_DOWN, Fault.CUT, Fault.SILENCE])
@on_a_loop
async def test_a_store_that_stays_away_is_told_once_and_after_a_while_to_who_asked(
    s3: S3Server, tmp_path: Path, otherwise: Fault, caplog: pytest.LogCaptureFixture
):
    async with faulty(s3, tmp_path, otherwise=otherwise) as (store, proxy):
        with caplog.at_level(logging.INFO), pytest.raises(UnavailableError) as told:
            await store.put([b"content"])
        assert told.value.code == "SF3043"
        assert "gave no good answer for 3 s" in told.value.message
        assert sum("it is asked again" in line for line in caplog.messages) == 1

        proxy.otherwise = Fault.NONE
        with caplog.at_level(logging.INFO):
            await store.put([b"content"])
        assert f"{store.url} answers again" in caplog.messages


@on_a_loop
async def test_what_cannot_be_deleted_now_stays_and_is_told(
    s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with faulty(s3, tmp_path) as (store, proxy):
        stored = await store.put([b"content"])
        proxy.otherwise = Fault.SLOW_DOWN
        await store.delete([stored.id])
        proxy.otherwise = Fault.NONE

        assert any("stay in" in line for line in caplog.messages)
        assert await store.ids() == {stored.id}


@on_a_loop
async def test_an_object_that_was_changed_is_never_given_out(s3: S3Server, tmp_path: Path):
    bucket = s3.new_bucket()
    store = store_at(StoreUrl("s3", bucket, ""), tmp_path / "scratch", **s3.options())
    small, large = await store.put([b"content"]), await store.put([b"x" * 9_000_000])
    for stored in (small, large):
        path = s3.root / bucket / "objects" / stored.id
        path.write_bytes(path.read_bytes()[:-1] + b"!")

        with pytest.raises(CorruptionError):
            await store.get(stored.id)
        with pytest.raises(CorruptionError):
            await anext(store.read(stored.id))
        with pytest.raises(CorruptionError):
            await store.place_file(stored, tmp_path / "1.sst")
        assert not (tmp_path / "1.sst").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


@on_a_loop
async def test_a_file_that_is_there_already_is_not_sent_again(s3: S3Server, tmp_path: Path):
    (tmp_path / "1.sst").write_bytes(b"table")
    async with faulty(s3, tmp_path) as (store, proxy):
        first = await store.put_file(tmp_path / "1.sst")
        proxy.requests.clear()

        assert await store.put_file(tmp_path / "1.sst") == first
        assert [request.split()[0] for request in proxy.requests] == ["HEAD"]


@on_a_loop
async def test_a_bucket_that_is_not_there_is_told_and_not_taken_for_an_empty_one(
    s3: S3Server, tmp_path: Path
):
    store = store_at(StoreUrl("s3", "no-such-bucket", "shop"), tmp_path, **s3.options())

    with pytest.raises(ConfigError) as refusal:
        await store.check()
    assert str(refusal.value) == (
        "SF1082: --checkpoints s3://no-such-bucket/shop: its objects cannot be listed: 404 Not Found, NoSuchBucket\n"
        "hint: see that the bucket exists, and that the credentials in the environment may list, read, write and "
        "delete there"
    )
    with pytest.raises(UnavailableError) as told:
        await store.get(ObjectId("0" * 64))
    assert told.value.code == "SF3044"


@on_a_loop
async def test_a_port_that_is_closed_is_told_with_the_systems_word(tmp_path: Path):
    options = {
        "endpoint": f"http://127.0.0.1:{free_port()}",
        "region": "x",
        "access_key_id": "key",
        "secret_access_key": "secret",
    }
    store = store_at(StoreUrl("s3", "bucket", "shop"), tmp_path, **options)
    with pytest.raises(UnavailableError) as told:
        await store.check()
    assert told.value.message == (
        "the checkpoint store was tried: s3://bucket/shop gave no good answer for 1 s: Connection refused"
    )


@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": "another-secret-value"}, {"access_key_id": "another-key-id"}]
)
@on_a_loop
async def test_what_a_store_says_of_wrong_keys_is_told_without_them(
    s3: S3Server, tmp_path: Path, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """Its answer repeats the key's id, what was to be signed, and the signature."""
    options = s3.options() | wrong
    store = store_at(StoreUrl("s3", s3.new_bucket(), "shop"), tmp_path, **options)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ConfigError) as refusal:
            await store.check()
        with pytest.raises(UnavailableError) as told:
            await store.put([b"content"])

    said = "\n".join([*caplog.messages, str(refusal.value), str(told.value)])
    assert "SignatureDoesNotMatch" in said or "XAdminUserNotFound" in said
    for secret in (SECRET, *options.values(), "AWS4-HMAC", "AWSAccessKeyId"):
        if secret not in (options["endpoint"], options["region"]):
            assert secret not in said
