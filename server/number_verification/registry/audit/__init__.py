"""The audit trail: append-only files, hash-chained and sealed (docs/decisions/0007-audit.md)."""
