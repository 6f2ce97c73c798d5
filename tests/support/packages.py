"""Packages that look installed: a folder on the path with what pip would leave behind."""

from pathlib import Path

GROUP = "statefun_runtime.components"


def install(folder: Path, name: str, value: str, *, source: str | None = None) -> Path:
    """Make a folder look as if a package with one entry point were installed in it; return the folder."""
    information = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (information / "entry_points.txt").write_text(f"[{GROUP}]\nany-name = {value}\n")
    if source is not None:
        (folder / f"{value.partition(':')[0]}.py").write_text(source)
    return folder
