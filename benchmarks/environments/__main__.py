"""`python -m benchmarks.environments [--pin] [NAME …]`: makes the environments that are missing or stale; all without names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from benchmarks import environments
from benchmarks.peers import PEERS


def main(arguments: Sequence[str]) -> int:
    known = [peer.environment for peer in PEERS]
    names = [argument for argument in arguments if argument != "--pin"]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"error: no such environment: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        try:
            if "--pin" in arguments:
                environments.pin(name)
            if not environments.is_made(name):
                print(f"making the environment of {' '.join(environments.wanted(name))} …", file=sys.stderr, flush=True)
                environments.make(name)
        except subprocess.CalledProcessError as error:
            print(
                f"error: the environment of {name} could not be made: uv ended with {error.returncode}", file=sys.stderr
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
