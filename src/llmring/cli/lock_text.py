"""Who named the lockfile and the profile that count, in words for people."""

from __future__ import annotations

from typing import Final

# By LockOrigin.
LOCK_NAMED_BY: Final = {
    "explicit": "named by --lockfile",
    "environment": "named by LLMRING_LOCKFILE_PATH",
    "directory": "lies in this folder",
    "bundled": "bundled with llmring: there is no llmring.lock here",
}
# By what Resolver.profile_layer says.
PROFILE_NAMED_BY: Final = {
    "the profile argument": "named by --profile",
    "LLMRING_PROFILE": "named by LLMRING_PROFILE",
    "default_profile": "the lockfile's default_profile",
    "no profile was named": "nobody named another",
}
