"""Names in containers: the server, the forwarder, and the stand-in that answers while argosyd is away."""
