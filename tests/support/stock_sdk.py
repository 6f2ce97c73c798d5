"""The stock SDKs of StateFun 3.3, unmodified, each in a home of its own under .cache."""

import sys
from pathlib import Path

from tests.support.provisions import command_path, made_once, run_or_unavailable

STOCK_VERSION = "3.3.0"
FUNCTIONS = Path(__file__).parent / "functions"


def python_command(program: Path, *arguments: str | int) -> list[str]:
    """Return the command that runs a program with the stock Python SDK, or raise `Unavailable`."""
    home = made_once("stock-python", _make_python_home)
    return [str(home / "bin" / "python"), str(program), *(str(a) for a in arguments)]


def js_command(program: Path, *arguments: str | int) -> list[str]:
    """Return the command that runs a program with the stock JavaScript SDK, or raise `Unavailable`."""
    node = command_path("node")
    home = made_once("stock-js", _make_js_home)
    # `env` replaces itself with node: the process id is that of the program.
    modules = f"NODE_PATH={home / 'node_modules'}"
    return [command_path("env"), modules, node, str(program), *(str(a) for a in arguments)]


def _make_python_home(home: Path) -> None:
    run_or_unavailable([sys.executable, "-m", "venv", home], cwd=home, timeout_s=120)
    pip: list[str | Path] = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
    # Its pin protobuf<4 would mean the pure-Python protobuf, seven times slower.
    stock = f"apache-flink-statefun=={STOCK_VERSION}"
    run_or_unavailable([*pip, "--no-deps", stock], cwd=home, timeout_s=300)
    run_or_unavailable([*pip, "protobuf>=5", "aiohttp>=3.9,<4"], cwd=home, timeout_s=300)
    run_or_unavailable([home / "bin" / "python", "-c", "import statefun"], cwd=home, timeout_s=60)


def _make_js_home(home: Path) -> None:
    (home / "package.json").write_text('{"name": "stock-js", "private": true}\n')
    npm = [command_path("npm"), "install", "--no-audit", "--no-fund", "--silent"]
    run_or_unavailable([*npm, f"apache-flink-statefun@{STOCK_VERSION}"], cwd=home, timeout_s=300)
