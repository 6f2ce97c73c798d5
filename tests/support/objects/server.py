"""A real server process that speaks S3: versitygw, built with Go, over a folder of files."""

import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.support.processes import Process
from tests.support.provisions import made_once
from tests.support.sdks.go_sdk import go
from tests.support.sockets import free_port

VERSION = "v1.8.0"
REGION = "us-east-1"
KEY_ID, SECRET = "checkpoint-key-id", "checkpoint-secret-value"


def prepare() -> Path:
    """Return the server's program; the first call needs Go and some minutes at worst."""
    return made_once(f"versitygw-{VERSION}", _build) / "versitygw"


class S3Server:
    """One server on a free loopback port; what it keeps is gone when it is closed, not when it is stopped."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="s3-server-")
        self.root = Path(self._folder.name) / "buckets"
        self._process: Process | None = None
        self._buckets = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "S3Server":
        """Start the process; return when its port is open."""
        self.root.mkdir(exist_ok=True)
        self._process = Process(
            [prepare(), "--port", f"127.0.0.1:{self.port}", "--quiet", "posix", self.root],
            log=Path(self._folder.name) / "server.log",
            env={"ROOT_ACCESS_KEY": KEY_ID, "ROOT_SECRET_KEY": SECRET},
        )
        self._process.wait_for_port(self.port)
        return self

    def stop(self) -> None:
        """End the process; `start` has it go on with what it kept."""
        assert self._process is not None
        self._process.stop()

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def close(self) -> None:
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def new_bucket(self) -> str:
        """Make a bucket that no other test has."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        (self.root / name).mkdir()
        return name

    def keys(self, bucket: str) -> set[str]:
        """Return the keys that lie in a bucket."""
        home = self.root / bucket
        files = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
        return {str(path) for path in files if not str(path).startswith(".")}

    def options(self, *, port: int | None = None) -> dict[str, str]:
        """Return what obstore needs to know besides the URL; a proxy may stand at another port."""
        return {
            "endpoint": f"http://127.0.0.1:{port or self.port}",
            "region": REGION,
            "access_key_id": KEY_ID,
            "secret_access_key": SECRET,
        }

    def environment(self, *, port: int | None = None) -> dict[str, str]:
        """Return the same as a worker finds it in its environment."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def __enter__(self) -> "S3Server":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _build(home: Path) -> None:
    run = partial(go, cwd=home, timeout_s=900.0)
    run("mod", "init", "example")
    run("get", f"github.com/versity/versitygw/cmd/versitygw@{VERSION}")
    run("build", "-o", "versitygw", "github.com/versity/versitygw/cmd/versitygw")
