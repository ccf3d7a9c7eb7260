"""The one-time store: what may be used once only."""
