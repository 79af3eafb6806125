"""The networks of one host: VXLAN, nftables and DNS. Which networks there are is decided by managers."""

__all__ = ["host_networks", "interface", "kernel", "plan"]
