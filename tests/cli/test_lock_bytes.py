"""The same inputs give the same lock, whatever machine it is: processes of their own, as the environment is what differs."""

from __future__ import annotations

import os

import pytest
from tests.cli.shell import Shell
from tests.cli.test_lock import OPENAI, write_registry


@pytest.mark.spec("V01")
async def test_neither_hashes_nor_zone_nor_language_nor_line_ends_show_in_a_lock(shell: Shell) -> None:
    write_registry(shell.folder)
    shell.environ["LLMRING_REGISTRY_URL"] = str(shell.folder / "registry")
    text = (
        '[alias.fast]\nmodels = [\n  "openai:tiny",\n  "openai:tiny-2",\n]\nneeds = []\ntemperature = 0.1\n'
        '[alias.more]\nmodels = ["openai:tiny-1"]\n[profile.dev]\n[profile."a.b"]\n' + OPENAI.partition("[alias")[0]
    )
    made: list[bytes] = []
    for seed, zone, language, manifest, umask in (
        ("1", "UTC", "C", text.encode(), 0o022),
        ("2", "Pacific/Kiritimati", "tr_TR.UTF-8", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), 0o077),
        ("3", "Pacific/Niue", "de_DE.ISO-8859-1", text.encode(), 0o000),
    ):
        (shell.folder / "llmring.toml").write_bytes(manifest)
        lock = shell.folder / "llmring.lock"
        lock.unlink(missing_ok=True)
        before = os.umask(umask)
        try:
            outcome = await shell.run("lock", PYTHONHASHSEED=seed, TZ=zone, LC_ALL=language, PYTHONUTF8="0")
        finally:
            os.umask(before)
        assert outcome.code == 0, outcome
        made.append(lock.read_bytes())
        # The file is committed: its mode is nobody's umask.
        assert lock.stat().st_mode & 0o777 == 0o644
    assert made[0] == made[1] == made[2]
    assert b"\r" not in made[0]
