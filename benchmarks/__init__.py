"""What a call costs, against the floor (bare aiohttp) and the vendors' SDKs: `make bench`, `python -m benchmarks PB01`.

A budget is one file, `pb….py`, and one line in `__main__.BENCHMARKS`. Whoever is measured is one file in
`contestants/`, and runs in a process of its own, so that nobody pays for what another has imported. Budgets are no
tests: no test fails on a time.
"""
