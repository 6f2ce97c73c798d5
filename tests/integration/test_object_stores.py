"""A worker with its checkpoints in a bucket: kill -9, a store that is away, a disk that is gone, starts that are refused."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, endpoint
from tests.support.http.faulty_process import GREETER, FaultyProcess
from tests.support.objects.server import KEY_ID, SECRET, S3Server
from tests.support.processes import wait_until
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
# How a table file of RocksDB ends.
SST_END = bytes.fromhex("f7cff485b741e288")


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProcess]:
    served = FaultyProcess(GREETER, tmp_path_factory.mktemp("greeter"))
    yield served
    served.close()


@pytest.fixture
def start(
    s3: S3Server, greeter: FaultyProcess, application: Applications
) -> Callable[..., HttpApplication]:
    """Return a function that runs the greeter with its checkpoints at a URL."""

    def run(url: str, *arguments: str, **env: str) -> HttpApplication:
        given = ["--checkpoints", url, "--checkpoint-interval", "10ms", *arguments]
        return application(
            endpoint(greeter.url, "example/*"),
            topic="greetings",
            arguments=given,
            env=s3.environment() | {"HOME": "/nonexistent"} | env,
        )

    return run


def refusal(app: HttpApplication, *, status: int = 2) -> str:
    """Start a worker that is not to run; return what it said."""
    before = app.worker.output()
    app.worker.start(is_ready_awaited=False)
    assert app.worker.process.wait() == status, app.worker.output()
    return app.worker.output().removeprefix(before)


def has_tables(s3: S3Server, bucket: str) -> bool:
    return any(_end(s3.root / bucket / key) == SST_END for key in s3.keys(bucket))


def _end(path: Path) -> bytes:
    try:
        return path.read_bytes()[-len(SST_END) :]
    except FileNotFoundError:
        # It was unneeded, and deleted meanwhile.
        return b""


def test_state_comes_back_from_the_bucket_after_kill_9_though_all_but_the_logs_is_gone(
    s3: S3Server, start: Callable[..., HttpApplication]
) -> None:
    bucket = s3.new_bucket()
    app = start(f"s3://{bucket}/shop")
    app.greet("Bob", "Bob")
    assert sorted(app.receive(2)) == ["Nice to see you again Bob", "Welcome Bob"]
    # Until the live store itself has been brought there, and not only what changed.
    for number in range(2000):
        app.greet(f"other-{number}")
        app.receive(1)
        if has_tables(s3, bucket):
            break
    assert has_tables(s3, bucket)
    app.worker.kill9()
    for name in ("live", "objects"):
        shutil.rmtree(app.worker.state_dir / name, ignore_errors=True)

    app.start()
    app.greet("Bob")
    wait_until(lambda: app.take() == "Third time is a charm Bob", "the third greeting")
    app.worker.stop_cleanly()

    listed = _checkpoints(app, s3, "list")
    assert re.search(r"^ *\d+  ", listed, re.M), listed
    assert "good" in _checkpoints(app, s3, "verify")
    for text in (app.worker.output(), listed):
        assert SECRET not in text
        assert KEY_ID not in text


def test_several_workers_share_a_bucket_and_come_back_from_it(
    s3: S3Server, start: Callable[..., HttpApplication]
) -> None:
    bucket = s3.new_bucket()
    app = start(f"s3://{bucket}/shop", "--workers", "2")
    app.greet("Bob", "Ada", "Bob")
    assert sorted(app.receive(3)) == ["Nice to see you again Bob", "Welcome Ada", "Welcome Bob"]
    app.worker.kill9()
    for name in ("live", "objects"):
        shutil.rmtree(app.worker.state_dir / name, ignore_errors=True)

    app.worker.arguments[-1] = "3"
    app.start()
    app.greet("Bob", "Ada")
    wait_until(
        lambda: {app.take(), app.take()} >= {"Third time is a charm Bob"}, "the third greeting"
    )
    app.worker.stop_cleanly()


def test_a_store_that_is_away_delays_checkpoints_and_nothing_else(
    s3: S3Server, start: Callable[..., HttpApplication], greeter: FaultyProcess
) -> None:
    app = start(f"s3://{s3.new_bucket()}/shop")
    app.greet("Bob")
    assert app.receive(1) == ["Welcome Bob"]
    invoked = app.worker.metrics().total("statefun_functions_outEgress_total")
    s3.stop()
    try:
        app.greet(*(f"name-{number}" for number in range(20)))
        app.worker.process.wait_for_line(
            r"gives no good answer, it is asked again: Connection refused"
        )
        wait_until(
            lambda: (
                app.worker.metrics().total("statefun_functions_outEgress_total") >= invoked + 20
            ),
            "the functions going on",
        )
        epoch = app.worker.metrics().total("statefun_checkpoint_epoch")
    finally:
        s3.start()
    assert sorted(app.receive(20)) == sorted(f"Welcome name-{number}" for number in range(20))
    app.worker.process.wait_for_line(r"answers again", timeout_s=60.0)
    wait_until(
        lambda: app.worker.metrics().total("statefun_checkpoint_epoch") > epoch, "a checkpoint"
    )
    app.worker.kill9()
    app.start()
    app.greet("name-7")
    wait_until(lambda: app.take() == "Nice to see you again name-7", "what was known before")


def test_a_savepoint_in_the_bucket_begins_another_application_there(
    s3: S3Server, start: Callable[..., HttpApplication]
) -> None:
    bucket = s3.new_bucket()
    app = start(f"s3://{bucket}/shop")
    app.greet("Bob")
    app.receive(1)
    made = _command(["savepoint"], app, s3)
    place = re.search(r"s3://\S+", made)
    assert place is not None, made
    assert place[0].startswith(f"s3://{bucket}/shop/savepoints/")
    named = f"s3://{bucket}/before"
    assert named in _command(["savepoint", "--to", named], app, s3)
    app.worker.stop_cleanly()

    for origin in (place[0], named):
        other = start(
            f"s3://{bucket}/other-{origin[-5:]}",
            "--from-savepoint",
            origin,
            "--savepoint-outbox",
            "drop",
        )
        other.greet("Bob")
        assert other.receive(1) == ["Nice to see you again Bob"]
        other.worker.stop_cleanly()


def test_a_start_that_looks_elsewhere_is_refused(
    s3: S3Server, start: Callable[..., HttpApplication]
) -> None:
    bucket = s3.new_bucket()
    app = start(f"s3://{bucket}/shop")
    app.greet("Bob")
    app.receive(1)
    app.worker.stop_cleanly()
    given = list(app.worker.arguments)

    app.worker.arguments = given[2:]
    assert (
        f"SF1083: the checkpoints of {app.worker.state_dir} are kept in s3://{bucket}/shop, and this start looks for "
        "them in the folder itself"
    ) in refusal(app)
    app.worker.arguments = ["--checkpoints", f"s3://{bucket}/shp", *given[2:]]
    assert f"looks for them in s3://{bucket}/shp" in refusal(app)
    # Another application, as one whose folder was lost would be.
    app.worker.arguments = given
    app.worker.state_dir = app.worker.directory / "another"
    before = s3.keys(bucket)
    told = refusal(app)
    assert f"SF1084: s3://{bucket}/shop has the checkpoints of application" in told
    assert s3.keys(bucket) == before


def test_a_store_that_cannot_be_used_is_told_at_the_start(
    s3: S3Server, start: Callable[..., HttpApplication], tmp_path: Path
) -> None:
    bucket = s3.new_bucket()
    app = start(f"s3://{bucket}/shop")
    app.worker.stop_cleanly()

    def told(url: str, *, status: int = 2, **env: str) -> str:
        app.worker.arguments[1] = url
        app.worker._env = s3.environment() | {"HOME": str(tmp_path)} | env  # noqa: SLF001
        app.worker.state_dir = tmp_path / "fresh"
        return refusal(app, status=status)

    assert (
        "s3://nobody-made-it/shop: its objects cannot be listed: 404 Not Found, NoSuchBucket"
        in told("s3://nobody-made-it/shop")
    )
    assert "SF1032: --checkpoints 's4://bucket' has the scheme 's4'" in told("s4://bucket")
    wrong = told(f"s3://{bucket}/shop", AWS_SECRET_ACCESS_KEY="not-it-at-all")
    assert "SF1082" in wrong
    assert "SignatureDoesNotMatch" in wrong
    assert "not-it-at-all" not in wrong
    assert KEY_ID not in wrong
    assert "SF1080: --checkpoints az://bucket/shop cannot be used" in told("az://bucket/shop")
    closed = told(
        f"s3://{bucket}/shop", status=1, AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}"
    )
    assert (
        f"SF3043: the checkpoint store was tried: s3://{bucket}/shop gave no good answer" in closed
    )
    assert "Connection refused" in closed


def test_keys_come_from_a_file_too(
    s3: S3Server, start: Callable[..., HttpApplication], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"[shop]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    app = start(
        f"s3://{s3.new_bucket()}/shop",
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_SHARED_CREDENTIALS_FILE=str(keys),
        AWS_PROFILE="shop",
    )
    app.greet("Bob")
    assert app.receive(1) == ["Welcome Bob"]
    assert SECRET not in app.worker.output()


def test_a_folder_that_others_reach_is_a_place_too(
    start: Callable[..., HttpApplication], tmp_path: Path
) -> None:
    app = start((tmp_path / "shared").as_uri())
    app.greet("Bob")
    # What is taken is taken again after a crash, unless a checkpoint knows of it.
    assert app.receive(1) == ["Welcome Bob"]
    app.worker.kill9()
    app.start()
    app.greet("Bob")
    wait_until(lambda: app.take() == "Nice to see you again Bob", "the second greeting")
    assert (tmp_path / "shared" / "objects" / "holder.json").exists()


def _checkpoints(app: HttpApplication, s3: S3Server, what: str) -> str:
    return _command(["checkpoints", what], app, s3)


def _command(words: list[str], app: HttpApplication, s3: S3Server) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", *words, "--state-dir", app.worker.state_dir],
        env=s3.environment() | {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
