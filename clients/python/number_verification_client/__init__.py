"""Client of a Number Verification service."""

__version__ = "0.1.0"
