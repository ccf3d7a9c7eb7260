"""The service on this machine alone, with a simulated mobile core: for trying it out, for demos, for acceptance tests.

Nothing in here is taken by the service itself. Devices are real connections: the loopback range gives each a source
address of its own, and a client that binds to it *is* that device (design D10).
"""
