"""The `llmring` command: one file per command. Data goes to stdout, talk to stderr; exit codes are listed in `failures`."""
