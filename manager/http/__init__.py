"""The cluster part of the Docker Engine API."""
