"""Plug-ins: packages with entry points of llmring's, good ones and broken ones, as a process of its own finds them on its path."""

import json
import sys
from pathlib import Path

import pytest
from tests.cli.inside import Inside, Vendor
from tests.cli.packages import install
from tests.cli.shell import Shell

from llmring import LLMRequest, LLMRing
from llmring.exceptions import ConfigurationError, ProviderNotFoundError
from llmring.testing import FakeProvider

GOOD = '''
import os
from collections.abc import Mapping

import click

from llmring import CustomProvider, LLMResponse, StreamChunk

OPTIONS: Mapping[str, object] = {"base_url": os.environ.get("ACME_URL", "http://127.0.0.1:9"), "key_variable": "ACME_KEY"}


class Echo(CustomProvider):
    name = "echo"

    async def chat(self, request):
        return LLMResponse(f"{request.model} heard you", model=request.model, finish_reason="stop")

    async def chat_stream(self, request):
        response = await self.chat(request)
        yield StreamChunk.token(response.content)
        yield StreamChunk.done(response)


class Facts:
    async def read(self, provider, today):
        from llmring.registry.parse import FactSource
        from llmring.registry.sources.base import Reading

        if provider != "openai":
            return None
        said_by = FactSource("acme's page", "https://acme.example.com/models", today)
        facts = {"max_input": 5, "category": "chat", "no such fact": 1, "price.input": "cheap", "caps.tools": True}
        return Reading("mine", said_by, {"acme-only": facts, "no name": facts, "gpt-5": {"max_input": 1}}, True)


@click.command("greet")
def greet():
    """Say hello from a package."""
    click.echo("hello from acme")
'''
ENTRY_POINTS = """\
[console_scripts]
acme = acme_llmring:greet

[llmring.providers]
acme = acme_llmring:OPTIONS
echo = acme_llmring:Echo

[llmring.commands]
greet = acme_llmring:greet

[llmring.fact_sources]
acme = acme_llmring:Facts
"""
BROKEN = """\
[llmring.providers]
missing = no_such_module_anywhere:Thing
raises = broken_llmring_raises:Thing
base = broken_llmring_base:Thing
mutters = broken_llmring_mutters:Thing
exits = broken_llmring_exits:Thing
nothing = broken_llmring:NOTHING
misspelt = broken_llmring:MISSPELT
openai = broken_llmring:TAKES
Bad-Name = broken_llmring:TAKES

[llmring.commands]
aliases = broken_llmring:TAKES
lame = broken_llmring:TAKES

[llmring.fact_sources]
mute = broken_llmring:NOTHING

[llmring.caches]
redis = broken_llmring:TAKES
"""
BROKEN_FILES = {
    "broken_llmring.py": 'NOTHING = 5\nMISSPELT = {"base_ulr": "http://127.0.0.1:9"}\nTAKES = {"base_url": "http://127.0.0.1:9"}\n',
    "broken_llmring_raises.py": 'raise RuntimeError("the secret is sk-never-shown-0123456789")\n',
    "broken_llmring_exits.py": "import sys\nsys.exit(7)\n",
    "broken_llmring_base.py": "class Skipped(BaseException): ...\nprint('printed at import')\nraise Skipped\n",
    "broken_llmring_mutters.py": (
        "class Mute(ImportError):\n    def __str__(self):\n        raise RuntimeError\nraise Mute\n"
    ),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a package of good plug-ins and one of broken ones."""
    root = tmp_path / "site"
    install(root, "acme-llmring", {"acme_llmring.py": GOOD}, entry_points=ENTRY_POINTS)
    install(root, "broken-llmring", BROKEN_FILES, entry_points=BROKEN, version="0.1")
    return root


@pytest.fixture
def here(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, on this process's path; what it imports is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    for name in ("acme_llmring", *(file.removesuffix(".py") for file in BROKEN_FILES)):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return site


@pytest.mark.spec("Z06")
async def test_a_process_finds_a_packages_command_and_provider(
    shell: Shell, site: Path, fake_provider: FakeProvider
) -> None:
    shell.environ |= {"PYTHONPATH": str(site), "ACME_KEY": "k" * 20, "ACME_URL": fake_provider.base_url}
    (await shell.run("greet")).check("plugins-command")
    assert (await shell.run("chat", "echo:m", "Hi", "--no-stream")).stdout == "m heard you\n"
    outcome = await shell.run("chat", "acme:tiny", "Hi", "--no-stream")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert fake_provider.received[0].headers["authorization"] == f"Bearer {'k' * 20}"


@pytest.mark.spec("Z06")
async def test_a_process_names_what_is_broken_and_goes_on(shell: Shell, site: Path) -> None:
    shell.environ["PYTHONPATH"] = str(site)
    help_page = await shell.run("--help")
    assert (help_page.code, "greet" in help_page.stdout, "lame" in help_page.stdout) == (0, True, False)
    outcome = await shell.run("providers", "--json")
    names = {row["name"]: row for row in json.loads(outcome.stdout)}
    assert {"acme", "echo", "openai"} <= set(names)
    assert not {"base", "mutters", "missing", "raises", "exits", "nothing", "misspelt", "Bad-Name"} & set(names)
    assert names["acme"]["declared_in"] == "the plug-in of acme-llmring 2.3.1"
    assert names["openai"]["base_url"] == "https://api.openai.com/v1"
    assert "printed at import" in outcome.stderr  # stdout is data
    for name in ("base", "mutters", "missing", "raises", "exits", "nothing", "misspelt", "Bad-Name"):
        assert f"plug-in '{name}' of package broken-llmring 0.1" in outcome.stderr
    assert "sk-never-shown" not in outcome.stderr
    outcome = await shell.run("lame", "--json")
    warning, error = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert "no click.Command" in warning["warning"]
    assert (error["error"]["message"], error["error"]["hint"]) == ("no command 'lame'", "see `llmring --help`")


@pytest.mark.spec("Z06", "Z08")
def test_doctor_names_every_plug_in_and_what_is_wrong_with_it(inside: Inside, here: Path) -> None:
    told = json.loads(inside.run("doctor", "--offline", "--json").stdout)
    found = {
        check["id"].removeprefix("plugin."): check for check in told["checks"] if check["id"].startswith("plugin.")
    }
    assert {name for name, check in found.items() if check["status"] == "ok"} == {
        "commands.greet",
        "fact_sources.acme",
        "providers.acme",
        "providers.echo",
    }
    for name, why in {
        "providers.missing": "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        "providers.raises": "RuntimeError",
        "providers.exits": "SystemExit",
        "providers.base": "Skipped",
        "providers.mutters": "Mute",
        "providers.nothing": "a int is no provider",
        "providers.misspelt": "no such setting: base_ulr",
        "providers.openai": "the name is llmring's own",
        "providers.Bad-Name": "its name must read",
        "fact_sources.mute": "has an async method read",
        "commands.aliases": "the name is llmring's own",
        "commands.lame": "no click.Command",
        "caches.redis": "this version of llmring has no use for the group",
    }.items():
        assert found[name]["status"] == "warn"
        assert why in found[name]["text"], name
    assert "sk-never-shown" not in json.dumps(told)


@pytest.mark.spec("Z06")
async def test_a_provider_is_loaded_when_it_is_asked_for_and_not_before(here: Path) -> None:
    async with LLMRing(dotenv=False) as ring:
        assert ring.list_aliases()
        ring.explain("fast")
        assert "acme_llmring" not in sys.modules
        assert (await ring.chat(LLMRequest(model="echo:m", messages="Hi"))).content == "m heard you"
        assert ring.explain("echo:m")["candidates"][0]["why"] == "the plug-in of acme-llmring 2.3.1"
        assert ring.get_provider("acme").base_url.startswith("http://127.0.0.1")


@pytest.mark.spec("Z06")
async def test_an_alias_may_be_bound_to_a_packages_provider(here: Path, clean_environment: Path) -> None:
    pool = '[[profiles.default.bindings]]\nalias = "mine"\nmodels = ["raises:m", "echo:m"]\n'
    (clean_environment / "llmring.lock").write_text(f'version = "1.1"\n{pool}')
    async with LLMRing(dotenv=False) as ring:
        assert (await ring.chat("mine", "Hi")).content == "m heard you"
        assert "m heard you" in [chunk.delta async for chunk in ring.chat_stream("mine", "Hi")]


@pytest.mark.spec("Z06")
async def test_what_the_program_declares_wins_over_a_plug_in(here: Path, vendor: Vendor) -> None:
    async with LLMRing(dotenv=False, providers={"acme": {"base_url": vendor.url}}) as ring:
        assert ring.get_provider("acme").base_url == vendor.url
        assert "acme_llmring" not in sys.modules


@pytest.mark.spec("Z06")
async def test_a_broken_provider_is_unknown_and_said_once(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with LLMRing(dotenv=False) as ring:
        for _ in range(3):
            with pytest.raises(ProviderNotFoundError):
                await ring.chat("raises:m", "Hi")
    said = [record.getMessage() for record in caplog.records if "plug-in 'raises'" in record.getMessage()]
    assert said == [
        "plug-in 'raises' of package broken-llmring 0.1 (llmring.providers) is skipped: RuntimeError",
    ]


@pytest.mark.spec("Z06")
def test_a_name_that_two_packages_give_is_nobodys(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(
        here, "other-llmring", {"other_llmring.py": ""}, entry_points="[llmring.providers]\necho = other_llmring:X\n"
    )
    with pytest.raises(ProviderNotFoundError):
        LLMRing(dotenv=False).get_provider("echo")
    assert "packages acme-llmring, other-llmring all give this name" in caplog.text


@pytest.mark.spec("Z06")
def test_a_repository_cannot_take_the_name_of_an_installed_provider(here: Path, clean_environment: Path) -> None:
    (clean_environment / "llmring.toml").write_text('[providers.acme]\nbase_url = "https://evil.example.com"\n')
    with pytest.raises(ConfigurationError, match="package acme-llmring"):
        LLMRing(dotenv=False)


@pytest.mark.spec("Z06")
@pytest.mark.parametrize(
    "text", ["[llmring.providers]\nno equals sign\n", "no section = x:y\n", "[llmring.providers\nx = y:z\n", "\x00\x01"]
)
def test_a_package_whose_entry_points_are_no_entry_points_harms_nobody(here: Path, text: str) -> None:
    install(here, "garbage", {}, entry_points=f"{text}# llmring.providers")
    assert LLMRing(dotenv=False).get_provider("acme").base_url.startswith("http://127.0.0.1")


@pytest.mark.spec("Z06")
def test_facts_of_a_package_fill_in_what_llmrings_own_sources_do_not_say(inside: Inside, here: Path) -> None:
    arguments = [
        "registry",
        "refresh",
        "--provider",
        "openai",
        "--source",
        "genai-prices",
        "--output",
        "facts",
        "--json",
    ]
    (inside.folder / "facts").mkdir()
    assert inside.run(*arguments).code == 0  # not asked, it says nothing
    assert not (inside.folder / "facts" / "openai.json").exists()
    outcome = inside.run(*arguments, "--plugins")
    assert outcome.code == 0, outcome.stderr
    assert "plug-in 'mute' of package broken-llmring 0.1" in outcome.stderr
    written = json.loads((inside.folder / "facts" / "openai.json").read_text())
    assert written["models"]["acme-only"] == {
        "caps": {"tools": {"source": "plugin-acme", "value": True}},
        "category": {"source": "plugin-acme", "value": "chat"},
        "max_input": {"source": "plugin-acme", "value": 5},
    }
    assert written["sources"]["plugin-acme"]["what"] == "acme's page"
    assert "no name" not in written["models"]


async def test_a_lock_asks_a_packages_source_where_the_manifest_names_it_and_no_other(shell: Shell, site: Path) -> None:
    shell.environ["PYTHONPATH"] = str(site)
    (shell.folder / "llmring.lock").unlink()
    order = 'facts = ["plugin-{0}"]\nprices = ["plugin-{0}"]\nlifecycle = ["plugin-{0}"]\n'
    manifest = shell.folder / "llmring.toml"
    alias = '[alias.fast]\nmodels = ["openai:acme-only"]\nneeds = ["tools"]\n'
    manifest.write_text(f"[sources]\n{order.format('acme')}{alias}")
    outcome = await shell.run("lock")
    assert outcome.code == 0, outcome
    text = (shell.folder / "llmring.lock").read_text()
    assert 'caps = ["tools"]\nmax_input = 5\n' in text
    assert 'facts_source = "acme\'s page"' in text
    # One that is broken, or is not installed, could not be asked; and offline nobody is.
    for name, arguments, why in (
        ("mute", (), "async method read"),
        ("gone", (), "no installed package gives it"),
        ("acme", ("--offline",), "not asked: offline"),
    ):
        (shell.folder / "llmring.lock").unlink(missing_ok=True)
        manifest.write_text(f"[sources]\n{order.format(name)}{alias}")
        outcome = await shell.run("lock", *arguments)
        assert (outcome.code, why in outcome.stdout) == (3, True), outcome
        assert not (shell.folder / "llmring.lock").exists()
