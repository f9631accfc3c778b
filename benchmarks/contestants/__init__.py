"""Who is measured. Each module has `open_client(base_url, dialect)`, an async context manager of a
`benchmarks.worker.Client`.

All send the same prompt, and read the answer as far as a program needs that uses it: text, finish reason, token counts.
"""

ANSWER = "Hello from the fake provider."
PROMPT = "Say hello."
KEY = "sk-benchmark-0123456789"
