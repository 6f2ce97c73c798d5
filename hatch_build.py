"""Builds the worker's wheel; with STATEFUN_COMPILE=1 what every message goes through is compiled (docs/adr/0024).

The modules are listed in pyproject.toml and stay in the wheel as source, too. Without the variable, and in an editable
install, nothing is compiled: the same code runs as it is written.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Types of packages that are not here while a wheel is built are taken for unknown.
_OPTIONS = ["--ignore-missing-imports", "--config-file="]


class CompileHook(BuildHookInterface[Any]):
    """What hatchling asks before it puts a wheel together."""

    def dependencies(self) -> list[str]:
        """Return what compiling needs; nothing where nothing is compiled."""
        return ["mypy[mypyc]>=2,<3", "setuptools>=77"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the results be put beside their sources."""
        if not _is_wanted() or version == "editable":
            return
        os.chdir(self.root)
        modules = sorted(path for glob in self.config["modules"] for path in Path().glob(glob))
        # A front end asks twice, for the metadata first: what was compiled then is taken.
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in modules)).hexdigest()
        built = Path("build", "compiled", digest[:16])
        if not (built / "done").exists():
            _compile(modules, built)
            (built / "done").touch()
        for library in built.rglob("*.so"):
            build_data["force_include"][str(library)] = str(library.relative_to(built))
        build_data["pure_python"], build_data["infer_tag"] = False, True


def _is_wanted() -> bool:
    return os.environ.get("STATEFUN_COMPILE", "") not in ("", "0")


def _compile(modules: list[Path], built: Path) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution

    extensions = mypycify(
        [*_OPTIONS, *map(str, modules)],
        opt_level="2",
        debug_level="0",
        target_dir=str(built / "c"),
        group_name="statefun_runtime",
    )
    distribution = Distribution({"name": "statefun-runtime", "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(built), str(built / "o")
    command.ensure_finalized()
    command.run()
