"""The node's own part of the HTTP API, and where it is served."""
