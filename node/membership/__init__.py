"""This host's place in a cluster, on disk and running."""
