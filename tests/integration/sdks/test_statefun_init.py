"""What `statefun init` makes: projects whose tests pass, and which run at once with `statefun dev`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT, Unavailable, run_or_unavailable
from tests.support.sockets import free_port, http_get, http_request, is_listening

pytestmark = pytest.mark.integration

Projects = Callable[[str, str], Path]
SERVED_BY = {"python": [], "go": ["--", "go", "run", "."], "javascript": ["--", "node", "functions.mjs"]}  # fmt: skip
LANGUAGES = list(SERVED_BY)
WAYS = ["http", "kafka"]
NEEDED = {"python": (), "go": ("go",), "javascript": ("node", "npm")}


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "statefun", "init", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """Return a function that makes a project once, with all that it is built from."""

    @cache
    def make(language: str, way: str) -> Path:
        for tool in NEEDED[language]:
            if shutil.which(tool) is None:
                skip_or_fail(pytestconfig, f"{tool} (projects in {language})", Unavailable(tool))
        more = ["--kafka"] if way == "kafka" else []
        where = tmp_path_factory.mktemp(f"{language}-{way}")
        done = init(where, "flower-shop", "--language", language, *more)
        assert done.returncode == 0, done
        folder = where / "flower-shop"
        if language == "javascript":
            install = ["npm", "install", "--no-audit", "--no-fund", "--offline"]
            try:
                run_or_unavailable(install, cwd=folder, timeout_s=120)
            except Unavailable as error:
                skip_or_fail(pytestconfig, "npm (projects in JavaScript)", error)
        return folder

    return make


@pytest.fixture
def project(made: Projects, tmp_path: Path) -> Projects:
    """Return a function that gives a test a project of its own, to change and to run."""

    def copied(language: str, way: str) -> Path:
        # As deep as it was made: npm links to the SDK by a relative path.
        return shutil.copytree(made(language, way), tmp_path / "flower-shop", symlinks=True)

    return copied


def passes(folder: Path, command: Sequence[str]) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_its_own_tests_pass_and_it_is_in_good_form(project: Projects, language: str, way: str):
    folder = project(language, way)

    match language:
        case "python":
            passes(folder, [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"])
            passes(folder, [sys.executable, "-m", "ruff", "check", "--isolated", "."])
            style = ["--isolated", "--line-length", "100", "--check", "."]
            passes(folder, [sys.executable, "-m", "ruff", "format", *style])
        case "go":
            passes(folder, ["go", "vet", "./..."])
            passes(folder, ["go", "test", "./..."])
            if gofmt := shutil.which("gofmt"):
                listed = subprocess.run([gofmt, "-l", "."], cwd=folder, capture_output=True)
                assert listed.stdout == b""
        case "javascript":
            passes(folder, ["npm", "test"])
    passes(folder, [sys.executable, "-m", "statefun_runtime", "validate", "--strict", "module.yaml"])  # fmt: skip


@pytest.fixture
def dev() -> Iterator[Callable[..., Process]]:
    """Return a function that runs `statefun dev` in a project, as its README says; with other flags before those."""
    made: list[Process] = []

    def start(folder: Path, language: str, *flags: str) -> Process:
        said = " ".join(["statefun dev", *flags, "--module module.yaml", *SERVED_BY[language]])
        readme = (folder / "README.md").read_text()
        assert (
            f"\n{said}\n" in readme or f"{said.replace('dev', 'dev --local-kafka', 1)}\n" in readme
        )
        command = [sys.executable, "-m", *said.split()]
        command[4:4] = ["--metrics-port", str(free_port())]
        made.append(Process(command, log=folder.parent / "terminal.log", cwd=folder))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def moved(folder: Path, ports: dict[str, int], others: dict[str, str] | None = None) -> None:
    """Have a project's ports, which other tests may use, be free ones."""
    for file in folder.iterdir():
        if file.is_file():
            text = file.read_text()
            for port, free in ports.items():
                text = text.replace(port, str(free))
            for before, after in (others or {}).items():
                text = text.replace(before, after)
            file.write_text(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_runs_at_once(project: Projects, dev: Callable[..., Process], language: str):
    folder = project(language, "http")
    ports = {name: free_port() for name in ("8000", "8090", "8091")}
    moved(folder, ports)

    running = dev(folder, language)

    running.wait_for_line(rf"dev \| curl http://127.0.0.1:{ports['8091']}/greetings", timeout_s=60)
    url = f"http://127.0.0.1:{ports['8090']}/flower-shop/greeter/alice"
    assert http_request("PUT", url, b"hello") == (200, b"")

    def record() -> bytes | None:
        answer = http_get(f"http://127.0.0.1:{ports['8091']}/greetings")
        return answer[1] if answer is not None and answer[0] == 200 else None

    assert wait_until(record, "a greeting", timeout_s=60) == b"Hello alice for the 1. time"
    assert running.sigint() == 0
    # Also that of `go run`, which passes no signal on.
    assert not is_listening(ports["8000"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_runs_at_once_without_a_broker(
    project: Projects, dev: Callable[..., Process], language: str
):
    folder = project(language, "kafka")
    kafka = free_port()
    # That port stands in the README as the default of a flag.
    moved(folder, {"8000": free_port()}, {"--local-kafka": f"--local-kafka --kafka-port {kafka}"})

    running = dev(folder, language, "--local-kafka", "--kafka-port", str(kafka))

    running.wait_for_line("KAFKA IS IN MEMORY")
    url = f"http://127.0.0.1:{kafka}/names/anybody"
    running.wait_for_line(rf"dev \| curl -X PUT -d hello {url}", timeout_s=60)
    assert http_request("PUT", url, b"hello") == (200, b"")

    def record() -> bytes | None:
        answer = http_get(f"http://127.0.0.1:{kafka}/greetings")
        return answer[1] if answer is not None and answer[0] == 200 else None

    assert wait_until(record, "a greeting", timeout_s=60) == b"Hello anybody for the 1. time"
    assert running.sigint() == 0


@pytest.mark.kafka
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_runs_at_once_on_kafka(
    project: Projects, dev: Callable[..., Process], broker: KafkaBroker, language: str
):
    folder = project(language, "kafka")
    names, greetings = broker.unique_topic("names"), broker.unique_topic("greetings")
    others = {
        "127.0.0.1:9092": broker.bootstrap,
        "topic: names": f"topic: {names}",
        '"greetings"': f'"{greetings}"',
    }
    moved(folder, {"8000": free_port()}, others)
    broker.produce(names, [("alice", "x")])

    dev(folder, language)

    record = broker.consume(greetings, 1)[0]
    assert (record.key, record.value) == (b"alice", b"Hello alice for the 1. time")


REFUSED = {
    "no name": (["Flower_Shop"], "'Flower_Shop' is no name for a project"),
    "not empty": (["full"], "full is there already, and not empty"),
    "no SDK": (["shop", "--language", "go", "--sdk", "nowhere"], "there is no SDK at "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_made_says_why(tmp_path: Path, case: str):
    arguments, said = REFUSED[case]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()

    done = init(tmp_path, *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_javascript_s_sdk_is_the_clone_s(project: Projects):
    package = json.loads((project("javascript", "http") / "package.json").read_text())

    assert package["dependencies"] == {"statefun-sdk": f"file:{ROOT / 'sdk' / 'js'}"}
