"""`python -m llmring.testing.model_shell [COMMAND…]`: a shell, or a command, with a real small model beside it.

`make model` opens one. In it, profile `local` and its provider `llamacpp` lead to the model; it ends with the shell. Nothing is
written but a configuration in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from llmring import env
from llmring.testing.local_model import LocalModel


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command, by default bash, and returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    with tempfile.TemporaryDirectory(prefix="llmring-model-") as folder, LocalModel() as model:
        config = Path(folder, "config.toml")
        config.write_text(f'[providers.llamacpp]\nbase_url = "{model.base_url}"\nmax_tokens = 80\n')
        environ = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
            env.LLMRING_CONFIG: str(config),
            env.LLMRING_PROFILE: "local",
        }
        if not given:
            sys.stderr.write(f"{model.name} answers here as profile `local`; `exit` ends both\n")
        try:
            return subprocess.run(given or ["bash"], env=environ, check=False).returncode  # noqa: S603 - the user's own command
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
