"""Decisions about failure: pure, given what happened and what time it is; they wait for nothing and send nothing."""
