"""What this host does for others over gRPC, and who may ask."""
