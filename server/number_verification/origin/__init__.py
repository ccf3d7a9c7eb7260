"""Where a request really came from (design D5): the network and trusted proxies say it, never a client."""
