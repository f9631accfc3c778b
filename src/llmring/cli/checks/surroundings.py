"""What llmring runs in: versions, the environment and its files, proxies, the registry that ships, plug-ins."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import click

from llmring import __version__, env, plugins
from llmring.cli.checks.base import Check
from llmring.cli.failures import BAD_INPUT
from llmring.exceptions import ConfigurationError
from llmring.plugins import PluginError, find_plugins
from llmring.providers.availability import is_installed
from llmring.registry.freshness import MAX_AGE_DAYS
from llmring.secret import safe_url

_OLDEST_PYTHON: Final = (3, 11)
_PACKAGES: Final = ("aiohttp", "httpx", "pydantic", "click", "openai", "anthropic", "google-genai", "ollama")
# Extra: its modules, and what goes without them.
_EXTRAS: Final = {
    "images": (("PIL",), "images are sent as they are, never scaled down"),
    "pdf": (("pypdfium2",), "pages of PDF files are not made into images"),
    "tokens": (("tiktoken", "bpe_openai"), "tokens are estimated from bytes"),
    "prices": (("genai_prices",), "`llmring registry refresh` has one source less"),
}


def check_versions() -> Iterator[Check]:
    """llmring, Python, and the packages that calls go through."""
    yield Check("version.llmring", "ok", f"llmring {__version__}")
    python = f"Python {platform.python_version()} on {platform.platform()}"
    if sys.version_info < _OLDEST_PYTHON:
        yield Check("version.python", "fail", python, f"llmring needs {'.'.join(map(str, _OLDEST_PYTHON))} or newer")
    else:
        yield Check("version.python", "ok", python)
    found: list[str] = []
    missing: list[str] = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    yield Check("version.packages", "ok", ", ".join(found))
    if missing:
        yield Check("version.missing", "warn", f"not installed: {', '.join(missing)}", "only what needs them fails")
    for extra, (modules, without) in _EXTRAS.items():
        absent = [module for module in modules if not is_installed(module)]
        text = "installed" if not absent else f"not installed, so {without}"
        yield Check(f"extra.{extra}", "ok" if not absent else "skipped", text)


def check_environment(environ: Mapping[str, str], problem: str | None) -> Iterator[Check]:
    """./.env, and proxies. problem: why ./.env could not be read."""
    yield _check_dotenv(environ, problem)
    yield _check_proxies(environ)


def _check_dotenv(environ: Mapping[str, str], problem: str | None) -> Check:
    path = Path(".env")
    if problem is not None:
        return Check("env.dotenv", "fail", problem, code=BAD_INPUT)
    if env.is_set(env.LLMRING_NO_DOTENV):
        return Check("env.dotenv", "ok", f"./.env is left alone: {env.LLMRING_NO_DOTENV} is set")
    if not path.is_file():
        return Check("env.dotenv", "ok", "there is no ./.env")
    taken = sorted(name for name in environ if env.is_from_dotenv(name, environ))
    text = f"./.env gives {len(taken)} of the variables in use"
    if taken and _mode(path) & (stat.S_IRGRP | stat.S_IROTH):
        return Check("env.dotenv", "warn", f"{text}; others on this machine can read it", "chmod 600 .env")
    return Check("env.dotenv", "ok", text)


def _check_proxies(environ: Mapping[str, str]) -> Check:
    from llmring.transport.proxy import Proxies

    try:
        proxies = Proxies(environ)
    except ConfigurationError as error:
        return Check("env.proxy", "fail", error.message, error.hint, BAD_INPUT)
    if not proxies:
        return Check("env.proxy", "ok", "no proxy is set")
    found = {scheme: proxies.find(scheme, "api.example.com", None) for scheme in ("https", "http")}
    shown = ", ".join(f"{scheme} through {safe_url(proxy)}" for scheme, proxy in found.items() if proxy)
    return Check("env.proxy", "ok", shown or "set, but NO_PROXY takes out every host")


def check_files(environ: Mapping[str, str]) -> Iterator[Check]:
    """The user's config file and the manifest of this folder."""
    from llmring.lockfile.manifest import read_declared_providers
    from llmring.providers.declared import Trust, config_path, declare, read_config_providers

    try:
        path = config_path(environ)
        names = (
            [] if path is None else [declare(*row, Trust.USER).row.name for row in read_config_providers(path).items()]
        )
    except ConfigurationError as error:
        yield Check("env.config", "fail", error.message, error.hint, BAD_INPUT)
    else:
        yield _check_config(path, names)
    if env.is_set(env.LLMRING_FROZEN, environ):
        yield Check("env.manifest", "ok", f"not read: {env.LLMRING_FROZEN} is set")
        return
    try:
        tables = read_declared_providers(Path.cwd())
        names = [declare(*row, Trust.REPOSITORY).row.name for row in tables.items()]
    except ConfigurationError as error:
        yield Check("env.manifest", "fail", error.message, error.hint, BAD_INPUT)
        return
    text = f"declares {', '.join(names)}: reached on public https hosts alone" if names else "declares no provider"
    yield Check("env.manifest", "ok", text)


def _check_config(path: Path | None, names: list[str]) -> Check:
    if path is None:
        return Check("env.config", "ok", "there is no config file")
    text = f"{path} declares {', '.join(names) or 'no provider'}"
    # It says where keys are sent: who can write it can have them.
    if _mode(path) & (stat.S_IWGRP | stat.S_IWOTH):
        return Check("env.config", "fail", f"{text}; others on this machine can change it", f"chmod go-w {path}")
    return Check("env.config", "ok", text)


def _mode(path: Path) -> int:
    """The file's permissions; none for others where there are no such things."""
    if os.name != "posix":
        return 0
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def check_registry(as_of: str, origin: str, now: float) -> Check:
    """How old the newest facts are that prices, limits and retirements are taken from. as_of: YYYY-MM-DD."""
    age = (datetime.fromtimestamp(now, UTC).date() - date.fromisoformat(as_of)).days
    text = f"facts of {as_of}, {age} days old, from {origin}"
    if age > MAX_AGE_DAYS:
        return Check("registry.age", "warn", text, "a newer llmring has newer facts; LLMRING_REGISTRY_URL names others")
    return Check("registry.age", "ok", text)


def check_plugins(taken: Mapping[str, frozenset[str]]) -> Iterator[Check]:
    """Every plug-in, loaded. taken: by group, the names that are llmring's own."""
    from llmring.providers.plugged import load_provider
    from llmring.registry.sources.plugged import load_source

    found = find_plugins()
    if not found:
        yield Check("plugins", "ok", "none installed")
    for plugin in found:
        name = f"plugin.{plugin.group.removeprefix(plugins.PREFIX)}.{plugin.name}"
        what = f"of package {plugin.package} {plugin.version}"
        try:
            if plugin.problem is None and plugin.name in taken.get(plugin.group, ()):
                raise plugin.broken("the name is llmring's own")
            if plugin.group == plugins.PROVIDERS and plugin.problem is None:
                load_provider(plugin)
            elif plugin.group == plugins.FACT_SOURCES and plugin.problem is None:
                load_source(plugin)
            elif not isinstance(plugin.load(), click.Command) and plugin.group == plugins.COMMANDS:
                raise plugin.broken("it is no click.Command")
        except PluginError as error:
            yield Check(name, "warn", str(error), "remove the package, or get a version of it that works")
            continue
        yield Check(name, "ok", what)
