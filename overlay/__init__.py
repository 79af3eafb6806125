"""The host's side of every network: VXLAN, nftables, DNS."""
