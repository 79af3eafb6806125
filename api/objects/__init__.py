"""What the cluster stores, by who writes it. Pure."""
