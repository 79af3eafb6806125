"""Serving the HTTP API, on managers and on every host: the application, listening sockets, event streams."""
