"""What each host is to be told. Pure."""
