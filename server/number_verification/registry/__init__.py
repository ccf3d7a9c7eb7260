"""The registry: applications, and whom they belong to."""
