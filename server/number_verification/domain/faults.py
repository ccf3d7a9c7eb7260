"""What stores raise when they cannot do their work. Drivers' own exceptions never come further up than a store."""


class StoreUnavailable(Exception):
    """The store cannot be reached, read or written. The message is for the operator and names no content."""


class StoreFull(StoreUnavailable):
    """The store has no room left."""
