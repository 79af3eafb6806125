"""DNS for containers: the server, the forwarder, and the stand-in that answers while argosyd is away."""

__all__ = ["dns_server", "forwarder", "resolver", "standin_client"]
