"""What the kernel holds, read and changed."""

__all__ = ["conntrack", "kernel_networks", "namespaces", "nft_table", "nftables"]
