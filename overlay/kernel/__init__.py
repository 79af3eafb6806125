"""What the kernel holds, read and changed."""
