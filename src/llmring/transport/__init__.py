"""Bytes to providers and back: one seam (`base`), aiohttp behind it (`http`), the SSRF guard, recorded exchanges.

Imports nothing by itself: `import llmring.transport` must not load aiohttp.
"""
