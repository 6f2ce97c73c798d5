"""Our own JavaScript SDK, as the programs of tests use it; its own tests need what npm installs."""

from pathlib import Path

from tests.support.provisions import ROOT, Unavailable, command_path, made_once, run_or_unavailable

SDK = ROOT / "sdk" / "js"
NODE_MIN = 20


def command(program: Path, *arguments: str | int) -> list[str]:
    """Return the command that runs a program, which finds the SDK where it lies; or raise `Unavailable`."""
    node = command_path("node")
    version = run_or_unavailable([node, "--version"], cwd=SDK, timeout_s=30).strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MIN:
        raise Unavailable(f"Node {NODE_MIN} or later is needed, and this is {version}")
    # `env` replaces itself with node: the process id is that of the program.
    modules = f"NODE_PATH={made_once('javascript', install_into) / 'node_modules'}"
    return [command_path("env"), modules, node, str(program), *(str(a) for a in arguments)]


def install_into(folder: Path) -> None:
    """Make the SDK importable for programs in a folder, as npm would."""
    (folder / "node_modules").mkdir(exist_ok=True)
    (folder / "node_modules" / "statefun-sdk").symlink_to(SDK)


def with_what_its_tests_need() -> Path:
    """Return the SDK's folder when npm has installed what its own tests need; or raise `Unavailable`."""
    if not (SDK / "node_modules" / "typescript").exists():
        npm = [command_path("npm"), "install", "--no-audit", "--no-fund", "--silent"]
        run_or_unavailable(npm, cwd=SDK, timeout_s=300)
    return SDK
