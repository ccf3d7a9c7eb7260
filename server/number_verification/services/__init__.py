"""The servicers: a few lines for each RPC, between the contract's messages and the domain."""
