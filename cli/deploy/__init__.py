"""Plans a stack's deploy and carries it out."""
