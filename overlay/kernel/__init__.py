"""What the kernel holds, read and changed."""

__all__ = ["conntrack", "kernel_networks", "namespaces", "netlink_messages", "nft_table", "nftables"]
