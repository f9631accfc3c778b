"""The lockfile: what it says (`model`), how it is read (`parse`, `rows`), where it lies and when it changed (`store`), the locks of
installed packages (`extends`), and the manifest beside it (`manifest`). Nothing here writes, or asks the network.
"""
