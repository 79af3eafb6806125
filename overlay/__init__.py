"""The host's side of every network: VXLAN, nftables, DNS."""

__all__ = ["host_networks", "interface", "kernel", "plan"]
