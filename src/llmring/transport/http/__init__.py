"""HTTP by aiohttp: the only package that imports it, and no type or exception of aiohttp's leaves it.

aiohttp's connector opens and pools connections (`pool`), its parser reads replies (`reply`). The head of a request is written here (`head`,
`line`): of what aiohttp's sessions do for one (cookies, redirects, forms, tracing, a task that writes the body) an API call needs nothing.

Nothing is sent twice on purpose: retries have one owner, `resilience/`. But for a GET, once, where the connection ended before
there was an answer, as an idle one may in the moment of sending; a POST may have been acted upon, so it fails with ProviderConnectionError.
"""

from llmring.transport.http.transport import HTTPTransport as HTTPTransport
