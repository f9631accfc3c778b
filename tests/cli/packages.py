"""Installed packages, as a folder on sys.path: what an installer leaves behind, without an index and without a network."""

from pathlib import Path


def install(
    root: Path, name: str, files: dict[str, str], *, entry_points: str | None = None, version: str = "2.3.1"
) -> None:
    """Puts a distribution into `root`, with its metadata."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    whole = files | {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    if entry_points is not None:
        whole[f"{info}/entry_points.txt"] = entry_points
    whole[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*whole, f"{info}/RECORD"])
    for path, text in whole.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
