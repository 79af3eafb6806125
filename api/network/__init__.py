"""What a network means: its spec, its checks, and arithmetic of subnets. Pure."""
