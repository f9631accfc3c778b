"""`llmring doctor` on set-ups that are fine and on set-ups that are not, and that no key ever shows."""

import json
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.inside import Inside, Vendor
from tests.cli.known import lay_out

from llmring import LLMRing, __version__
from llmring.cli.checks.endpoints import Endpoints, tell_reach
from llmring.testing import FakeClock
from llmring.transport.base import HTTPReply, HTTPRequest

GOOD = "the-right-key-0123456789"
WRONG = "sk-planted-wrong-key-0123456789"
LOCK = """\
version = "1.1"
default_profile = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["openai:tiny", "spare:small"]

[[profiles.default.bindings]]
alias = "only"
models = ["openai:deep"]
"""


@pytest.fixture
def surgery(inside: Inside, vendor: Vendor) -> Inside:
    """A folder with a lockfile, a registry, and a provider that answers here and takes the key that is set."""
    lay_out(inside)
    inside.write("llmring.lock", LOCK)
    config = inside.write(
        "config.toml", '[providers.spare]\nbase_url = "http://127.0.0.1:9"\nkey_variable = "SPARE_KEY"\n'
    )
    config.chmod(0o600)
    inside.monkeypatch.setenv("LLMRING_CONFIG", str(config))
    inside.monkeypatch.setenv("OPENAI_API_KEY", GOOD)
    inside.monkeypatch.setenv("OPENAI_BASE_URL", vendor.url)
    inside.hidden[vendor.url] = "<vendor>"
    return inside


def check(inside: Inside, name: str, *arguments: str, **environ: str) -> None:
    """Compares with the snapshot, without what differs from machine to machine."""
    outcome = inside.run("doctor", *arguments, **environ)
    shown = re.sub(r"(version\.python +)\S.*", r"\1<python>", outcome.stdout)
    shown = re.sub(r"(version\.packages +)\S.*", r"\1<packages>", shown)
    shown = re.sub(r"(ok|skipped)( +)(extra\.\w+ +)\S.*\n", "", shown)
    shown = re.sub(r"\d{6,} s ahead", "<decades> ahead", shown)
    shown = shown.replace(__version__, "<version>")
    type(outcome)(outcome.command, outcome.code, shown, outcome.stderr).check(f"doctor-{name}")


def told(inside: Inside, *arguments: str, **environ: str) -> tuple[int, dict[str, dict[str, Any]]]:
    outcome = inside.run("doctor", "--json", *arguments, **environ)
    found = json.loads(outcome.stdout)
    assert found["exit_code"] == outcome.code
    checks = {check["id"]: check for check in found["checks"]}
    assert len(checks) == len(found["checks"]), "an id stands for one check"
    return outcome.code, checks


@pytest.mark.spec("Z08", "U30")
def test_where_all_is_well(surgery: Inside, vendor: Vendor) -> None:
    surgery.write("llmring.lock", LOCK.replace(', "spare:small"', ""))
    check(surgery, "fine", "--keys")
    # One look without a key, one listing with it, one without it: is the listing open to all?
    assert vendor.seen == ["/v1 ", f"/v1/models Bearer {GOOD}", "/v1/models "]


@pytest.mark.spec("Z08")
def test_offline_asks_nobody(surgery: Inside, vendor: Vendor) -> None:
    check(surgery, "offline", "--offline")
    assert vendor.seen == []


@pytest.mark.spec("Z08")
def test_a_dead_port_a_wrong_key_and_a_clock_that_is_off(surgery: Inside, vendor: Vendor) -> None:
    vendor.date = "Sun, 09 Sep 2001 01:46:40 GMT"
    check(surgery, "broken", "--keys", OPENAI_API_KEY=WRONG[:3] + "x" * 20, SPARE_KEY="x" * 20)


@pytest.mark.spec("Z08")
def test_a_dead_endpoint_is_a_failure_where_an_alias_has_nobody_else(surgery: Inside) -> None:
    code, checks = told(surgery, SPARE_KEY="x" * 20)
    assert (code, checks["endpoint.spare"]["status"], checks["alias.fast"]["status"]) == (0, "warn", "ok")
    assert "openai:tiny; 1 of 2" in checks["alias.fast"]["text"]
    code, checks = told(surgery, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert (code, checks["endpoint.openai"]["status"]) == (1, "fail")
    assert (checks["alias.fast"]["status"], checks["alias.only"]["status"]) == ("fail", "fail")


@pytest.mark.spec("Z08")
def test_a_key_that_is_refused_leaves_an_alias_to_the_rest_of_its_pool(surgery: Inside) -> None:
    code, checks = told(surgery, "--keys", OPENAI_API_KEY=WRONG)
    assert (code, checks["auth.openai"]["status"]) == (1, "fail")
    assert checks["auth.openai"]["text"] == "the key is refused (HTTP 401)"
    assert checks["auth.openai"]["hint"] == "set OPENAI_API_KEY anew"
    assert checks["alias.only"]["status"] == "fail"


@pytest.mark.spec("Z08")
def test_a_listing_that_is_open_to_all_proves_no_key(surgery: Inside, vendor: Vendor) -> None:
    vendor.key = None
    code, checks = told(surgery, "--keys")
    assert (code, checks["auth.openai"]["status"]) == (3, "unknown")


@pytest.mark.spec("Z08")
@pytest.mark.parametrize(
    ("ahead_s", "status", "code"),
    [(30, "ok", 0), (-30, "ok", 0), (200, "warn", 0), (-200, "warn", 0), (900, "fail", 1)],
)
def test_the_clock_is_compared_with_what_a_server_says(
    surgery: Inside, vendor: Vendor, ahead_s: int, status: str, code: int
) -> None:
    surgery.write("llmring.lock", LOCK.replace(', "spare:small"', ""))
    vendor.date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    assert (told(surgery)[0], told(surgery)[1]["clock"]["status"]) == (code, status)


@pytest.mark.spec("Z08")
@pytest.mark.parametrize("date", ["gestern", "", "Sun, 99 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 99999999 01:46:40 GMT"])
def test_a_date_that_is_none_is_no_clock(surgery: Inside, vendor: Vendor, date: str) -> None:
    vendor.date = date or " "
    assert told(surgery)[1]["clock"]["status"] == "unknown"


@pytest.mark.spec("Z08")
def test_retired_models_unknown_providers_and_missing_keys(inside: Inside) -> None:
    lay_out(inside)
    check(inside, "pools", "--offline")


@pytest.mark.spec("Z08")
@pytest.mark.parametrize(
    ("name", "lock", "arguments"),
    [
        ("broken-lock", 'version = "1.1"\n[profiles\n', []),
        ("other-version", 'version = "7.0"\n', []),
        ("unknown-profile", LOCK, ["--profile", "dfault"]),
        ("no-such-lockfile", LOCK, ["--lockfile", "other.lock"]),
    ],
)
def test_a_lockfile_that_cannot_be_used(inside: Inside, name: str, lock: str, arguments: list[str]) -> None:
    lay_out(inside)
    inside.write("llmring.lock", lock)
    check(inside, name, "--offline", *arguments)


@pytest.mark.spec("Z08")
@pytest.mark.parametrize(
    ("files", "environ", "check_id"),
    [
        ({".env": b"OPENAI_API_KEY=geheim-\xfc"}, {}, "env.dotenv"),
        ({"c.toml": b"[providers\n"}, {"LLMRING_CONFIG": "c.toml"}, "env.config"),
        ({"c.toml": b'[providers.x]\napi_key = "sk-0123456789abcdefgh"\n'}, {"LLMRING_CONFIG": "c.toml"}, "env.config"),
        ({"llmring.toml": b'[providers.openai]\nbase_url = "https://evil.example.com"\n'}, {}, "env.manifest"),
        ({}, {"HTTPS_PROXY": "socks5://user:sk-0123456789abcdefgh@host"}, "env.proxy"),
        ({}, {"LLMRING_REGISTRY_URL": "ftp://host/registry"}, "ring"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_exit_2(
    inside: Inside, files: Mapping[str, bytes], environ: dict[str, str], check_id: str
) -> None:
    for name, data in files.items():
        (inside.folder / name).write_bytes(data)
    code, checks = told(inside, "--offline", **environ)
    assert (code, checks[check_id]["status"]) == (2, "fail")
    assert "sk-0123456789" not in json.dumps(checks)
    assert "geheim" not in json.dumps(checks)


@pytest.mark.spec("Z08")
@pytest.mark.parametrize("arguments", [[], ["--offline"]])
@pytest.mark.parametrize("url", ["ftp://host", "http://user:sk-planted-0123456789@127.0.0.1:9/v1", "http://[x"])
def test_an_address_that_cannot_be_called_is_a_failure(surgery: Inside, url: str, arguments: list[str]) -> None:
    code, checks = told(surgery, *arguments, OPENAI_BASE_URL=url)
    assert (code, checks["endpoint.openai"]["status"], checks["alias.only"]["status"]) == (2, "fail", "fail")
    assert "OPENAI_BASE_URL" in checks["endpoint.openai"]["text"]
    assert "sk-planted" not in json.dumps(checks)
    listed = surgery.run("providers", OPENAI_BASE_URL=url)
    assert "warning: openai cannot be called: OPENAI_BASE_URL" in listed.stderr
    assert "sk-planted" not in listed.stdout + listed.stderr


@pytest.mark.spec("Z08", "Z03")
def test_of_several_keys_each_is_checked_and_one_good_one_is_enough(surgery: Inside, vendor: Vendor) -> None:
    config = surgery.write(
        "config.toml",
        f'[providers.openai]\nbase_url = "{vendor.url}"\nkeys = ["OPENAI_API_KEY", "SECOND_KEY", "THIRD_KEY"]\n',
    )
    config.chmod(0o600)
    surgery.write("llmring.lock", LOCK.replace(', "spare:small"', ""))
    code, checks = told(surgery, "--keys", SECOND_KEY=WRONG)
    assert (code, checks["auth.openai"]["status"]) == (0, "warn")
    assert checks["auth.openai"]["text"] == (
        "OPENAI_API_KEY: the key is accepted (OPENAI_API_KEY); SECOND_KEY: the key is refused (HTTP 401)"
    )
    assert checks["auth.openai"]["hint"] == "set SECOND_KEY anew"
    assert checks["key.openai"]["text"] == "has a key (OPENAI_API_KEY, SECOND_KEY; not set: THIRD_KEY)"
    code, checks = told(surgery, "--keys", SECOND_KEY=WRONG, OPENAI_API_KEY=WRONG + "2")
    assert (code, checks["auth.openai"]["status"]) == (1, "fail")
    # What no header can hold is no key to send; the other one is.
    code, checks = told(surgery, "--keys", SECOND_KEY="two\nlines", OPENAI_API_KEY=GOOD)
    assert (checks["key.openai"]["status"], checks["auth.openai"]["status"]) == ("ok", "warn")
    assert "no header may hold" in checks["auth.openai"]["text"]


@pytest.mark.spec("Z08")
@pytest.mark.parametrize("arguments", [[], ["--offline"], ["--keys"]])
def test_a_key_that_could_never_be_sent_is_a_failure(surgery: Inside, vendor: Vendor, arguments: list[str]) -> None:
    code, checks = told(surgery, *arguments, OPENAI_API_KEY="sk-planted-0123456789\nand more")
    assert (code, checks["key.openai"]["status"], checks["alias.only"]["status"]) == (1, "fail", "fail")
    assert vendor.seen == []
    assert "sk-planted" not in json.dumps(checks)


@pytest.mark.spec("Z08")
def test_files_that_others_can_read_or_change_are_told(surgery: Inside) -> None:
    (surgery.folder / "config.toml").chmod(0o666)
    surgery.write(".env", f"GROQ_API_KEY={WRONG}\n").chmod(0o644)
    _, checks = told(surgery, "--offline")
    assert (checks["env.config"]["status"], checks["env.dotenv"]["status"]) == ("fail", "warn")
    (surgery.folder / "config.toml").chmod(0o600)
    (surgery.folder / ".env").chmod(0o600)
    _, checks = told(surgery, "--offline")
    assert (checks["env.config"]["status"], checks["env.dotenv"]["status"]) == ("ok", "ok")


@pytest.mark.spec("Z08")
def test_what_a_repositorys_file_names_is_asked_through_the_guard(surgery: Inside, vendor: Vendor) -> None:
    port = vendor.url.partition("127.0.0.1:")[2]
    surgery.write("llmring.toml", f'[providers.inner]\nbase_url = "https://127.0.0.1:{port}"\n')
    surgery.write("llmring.lock", LOCK.replace("spare:small", "inner:m"))
    code, checks = told(surgery)
    assert (code, checks["endpoint.inner"]["status"]) == (4, "fail")
    assert [path for path in vendor.seen if path != "/v1 "] == []


@pytest.mark.spec("Z08")
def test_the_registrys_age_is_told(surgery: Inside) -> None:
    path = surgery.folder / "facts" / "openai.json"
    today = datetime.now(UTC).date()
    path.write_text(path.read_text().replace(today.isoformat(), (today - timedelta(days=91)).isoformat()))
    _, checks = told(surgery, "--offline")
    assert checks["registry.age"]["status"] == "warn"
    assert "91 days old" in checks["registry.age"]["text"]


class Silent:
    """A server that never answers."""

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        assert until is not None
        raise TimeoutError

    async def close(self) -> None:
        return None


@pytest.mark.spec("Z08")
async def test_who_does_not_answer_in_time_is_not_known_to_be_dead() -> None:
    async with LLMRing(dotenv=False, providers={"openai": {"api_key": GOOD}}) as ring:
        endpoints = Endpoints(ring, plain=Silent(), guarded=Silent(), clock=FakeClock())
        (answer,) = (await endpoints.reach(["openai"])).values()
        found = tell_reach("openai", "https://api.openai.com/v1", answer, is_needed=True)
        assert (found.status, found.exit_code) == ("unknown", 3)
        assert "no answer within 5 s" in found.text
        (key,) = await endpoints.check_keys(["openai"])
        assert key.status == "unknown"


@pytest.mark.spec("Z08", "A37")
@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("command", [["doctor", "--keys"], ["providers"], ["explain", "fast"]])
def test_no_key_ever_shows_wherever_it_is_planted(
    surgery: Inside, vendor: Vendor, command: list[str], arguments: list[str]
) -> None:
    planted = {name: f"sk-planted-{name}-0123456789" for name in ("env", "dotenv", "config", "proxy", "header")}
    config = surgery.folder / "config.toml"
    config.write_text(
        f'[providers.spare]\nbase_url = "{vendor.url}"\nkey_variable = "SPARE_KEY"\n'
        f'[providers.spare.extra_headers]\nX-Team = "{planted["header"]}"\n'
        f'[providers.other]\nbase_url = "{vendor.url}/{planted["config"][:0]}"\nkey_variable = "OTHER_KEY"\n'
    )
    surgery.write(".env", f"SPARE_KEY={planted['dotenv']}\n").chmod(0o600)
    environ = {
        "OPENAI_API_KEY": planted["env"],
        "OTHER_KEY": planted["config"],
        "HTTP_PROXY": f"http://user:{planted['proxy']}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    outcome = surgery.run(*command, *arguments, **environ)
    shown = outcome.stdout + outcome.stderr
    assert outcome.stdout
    assert "sk-planted" not in shown
    assert not [name for name, key in planted.items() if key in shown or key[-10:] in shown]


def test_a_version_of_python_is_told(inside: Inside) -> None:
    assert platform.python_version() in told(inside, "--offline")[1]["version.python"]["text"]


def test_asking_keys_and_asking_nobody_contradict_each_other(inside: Inside, tmp_path: Path) -> None:
    outcome = inside.run("doctor", "--keys", "--offline")
    assert (outcome.code, outcome.stdout) == (2, "")
