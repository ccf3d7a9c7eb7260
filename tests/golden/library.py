"""The golden contract of a public API at work."""

from golden.contracts import LIBRARY

POOL, ROUTES, RULES = LIBRARY.pool, LIBRARY.routes, LIBRARY.rules
message = LIBRARY.message
