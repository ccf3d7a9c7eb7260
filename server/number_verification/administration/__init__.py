"""The command line `number-verification admin`: the internal APIs for people and for scripts, over gRPC."""
