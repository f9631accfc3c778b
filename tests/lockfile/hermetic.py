"""Runs `llmring lock check` where network, clock, keys and home are refused. Run as a script, in a folder with a lock."""

import datetime
import os
import sys
import time
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from llmring.cli.main import run

# Modules first: an import may look around, the command may not.
import_module("llmring.lockfile.checking")
import_module("llmring.lockfile.reports")

HERE, CODE = (
    os.path.realpath(Path.cwd()),
    tuple(os.path.realpath(path) for path in (*sys.path, sys.prefix, sys.base_prefix)),
)
MAY_BE_READ = {"LLMRING_LOCKFILE_PATH", "NO_COLOR", "TERM", "COLUMNS", "LINES"}


def refuse(what: str) -> NoReturn:
    # Not an Exception: nothing on the way may take it for a failure that it knows.
    os.write(2, f"refused: {what}\n".encode())
    os._exit(99)


class Environment(MutableMapping[str, str]):
    def __getitem__(self, key: str) -> str:
        if key not in MAY_BE_READ and not key.startswith(("_", "LC_", "LANG", "PYTHON", "CLICK")):
            refuse(f"environment {key}")
        raise KeyError(key)

    def __setitem__(self, key: str, value: str) -> None:
        refuse(f"environment {key} written")

    def __delitem__(self, key: str) -> None:
        refuse(f"environment {key} deleted")

    def __iter__(self) -> Iterator[str]:
        refuse("the whole environment")

    def __len__(self) -> int:
        refuse("the whole environment")


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.spawn", "os.fork", "urllib.", "http.")):
        refuse(event)
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith((HERE, *CODE, "/dev/null", "/proc/self")):
            refuse(f"{event} {path}")
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            refuse(f"{path} written")


def no_time(*_: object) -> NoReturn:
    refuse("the clock")


def no_home(path: str) -> NoReturn:
    refuse(f"home: {path}")


for name in ("time", "time_ns", "localtime", "gmtime", "monotonic", "monotonic_ns", "sleep"):
    setattr(time, name, no_time)
clocks = {"now": no_time, "utcnow": no_time, "today": no_time}
setattr(datetime, "date", type("date", (datetime.date,), clocks))  # noqa: B010
setattr(datetime, "datetime", type("datetime", (datetime.datetime,), clocks))  # noqa: B010
setattr(os, "environ", Environment())  # noqa: B010
setattr(os.path, "expanduser", no_home)  # noqa: B010
sys.addaudithook(audit)

code = run(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
