"""What the kernel should hold. Pure."""
