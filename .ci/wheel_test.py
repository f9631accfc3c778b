"""Runs the tests against the built wheel, in an environment of its own, where no `src` is: `python .ci/wheel_test.py UV DIST`.

What reads the source itself (house rules, generated pages) is left out: it is about the checkout, not about the wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dist import ROOT, copy_tracked

ABOUT_THE_CHECKOUT = ("docs", "release", "benchmarks", "test_house.py", "live")


def main(uv: str, dist: str) -> int:
    environment = ROOT / ".cache" / "wheel"
    wheel = next(Path(dist).resolve().glob("*.whl"))
    python = environment / "bin" / "python"
    run = {"check": True, "cwd": ROOT}
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], **run)
    requirements = environment / "requirements.txt"
    export = [
        "export",
        "--quiet",
        "--frozen",
        "--no-emit-project",
        "--all-extras",
        "--no-default-groups",
        "--group",
        "dev",
    ]
    subprocess.run([uv, *export, "--output-file", str(requirements)], **run)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "--requirements", str(requirements)], **run)
    subprocess.run([*install, "--no-deps", str(wheel)], **run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tracked(ROOT, folder)
        shutil.rmtree(folder / "src")
        left_out = [f"--ignore=tests/{part}" for part in ABOUT_THE_CHECKOUT]
        environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return subprocess.run([str(python), "-m", "pytest", *left_out], cwd=folder, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
