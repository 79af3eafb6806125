"""What a service means: its spec, with behaviour on the values, and its checks. Pure."""
