"""The kernel's network objects, read and changed by netlink and libnftables."""

__all__ = ["conntrack", "kernel_networks", "namespaces", "nft_table", "nftables", "sysctl_files"]
