"""The argosy command: speaks the HTTP API only."""
