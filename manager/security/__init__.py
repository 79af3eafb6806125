"""The cluster's keys, and who may do what."""
