"""The host part of the Docker Engine API."""
