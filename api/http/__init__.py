"""What serving the HTTP API needs, whoever serves it: the application, listening, event streams."""
