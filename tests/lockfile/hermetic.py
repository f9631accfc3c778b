"""Runs `llmring lock check` where network, clock, keys and home are refused. Run as a script, in a folder with a lock.

With `--planted`, runs what it is given on stdin instead, a line at a time, and prints each line that was not refused.
"""

import datetime
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

HERE, CODE = (
    os.path.realpath(Path.cwd()),
    tuple(os.path.realpath(path) for path in (*filter(None, sys.path), sys.prefix, sys.base_prefix)),
)
MAY_BE_READ = {"LLMRING_FROZEN", "LLMRING_LOCKFILE_PATH", "NO_COLOR", "TERM", "COLUMNS", "LINES"}
CLOCKS = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "thread_time"),
    *("localtime", "gmtime", "ctime", "asctime", "strftime", "clock_gettime", "clock_gettime_ns", "sleep"),
)
CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.utime",
)
PROCESSES = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "urllib.",
    "http.",
)
LOOKS = ("os.stat", "os.lstat", "os.access", "os.readlink")
denied = False


class RefusedError(BaseException):
    """Not an Exception: nothing on the way may take it for a failure that it knows."""


def refuse(what: str) -> NoReturn:
    if "--planted" in sys.argv:
        raise RefusedError(what)
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


def check_path(event: str, given: Any) -> None:
    if not isinstance(given, int):  # a descriptor was checked when it was opened
        path = os.path.realpath(os.fsdecode(given))
        above = event in LOOKS  # what resolves a path looks at what is above it
        if not any(is_within(path, root) or (above and is_within(root, path)) for root in (HERE, *CODE, "/proc/self")):
            refuse(f"{event} {path}")


def is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip(os.sep)}{os.sep}")


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not denied:
        return
    if event.startswith(PROCESSES) or event in CHANGES:
        refuse(event)
    if event in ("open", "os.listdir", "os.scandir") and arguments[0] != os.devnull:
        check_path(event, arguments[0])
        writes = event == "open" and (
            (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"))
            or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        )
        if writes:
            refuse(f"{arguments[0]} written")


def forbid(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **more: Any) -> Any:
        return refuse(what) if denied else real(*arguments, **more)

    return call


def watch(event: str) -> None:
    """For what Python has no audit event of."""
    name = event.removeprefix("os.")
    real = getattr(os, name)

    def call(path: Any, *arguments: Any, **more: Any) -> Any:
        global denied
        if denied:
            denied = False  # what checks it looks, too
            try:
                check_path(event, path)
            finally:
                denied = True
        return real(path, *arguments, **more)

    setattr(os, name, call)


# Before anything of llmring is imported: who takes `date` from `datetime` takes this one.
clocks = {
    name: classmethod(forbid("the clock", getattr(datetime.datetime, name))) for name in ("now", "utcnow", "today")
}
setattr(datetime, "datetime", type("datetime", (datetime.datetime,), clocks))  # noqa: B010
setattr(datetime, "date", type("date", (datetime.date,), {"today": clocks["today"]}))  # noqa: B010
for name in CLOCKS:
    setattr(time, name, forbid("the clock", getattr(time, name)))
for module, name in ((os.path, "expanduser"), (pwd, "getpwuid"), (pwd, "getpwnam"), (os, "getlogin")):
    setattr(module, name, forbid("home", getattr(module, name)))
for event in LOOKS:
    watch(event)

# An import may look around, the command may not.
run = import_module("llmring.cli.main").run
import_module("llmring.lockfile.checking")
import_module("llmring.lockfile.reports")
import_module("importlib.metadata")
planted = sys.stdin.read().splitlines() if "--planted" in sys.argv else []
for line in planted:
    exec(line.partition(";")[0] if line.startswith(("import", "from")) else "")

setattr(os, "environ", Environment())  # noqa: B010
sys.addaudithook(audit)
denied = True

for line in planted:
    try:
        exec(line)
    except RefusedError:
        continue
    except Exception as error:
        os.write(1, f"{type(error).__name__}: ".encode())
    os.write(1, f"{line}\n".encode())
code = 0 if planted else run(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
