"""Messages between hosts, and the RPC that carries them."""
