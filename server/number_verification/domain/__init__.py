"""Use cases and values. Imports no gRPC, no HTTP, no database."""
