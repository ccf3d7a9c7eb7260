"""The HTTP listener for internal APIs: the REST of services that gRPC serves on the internal listener."""
