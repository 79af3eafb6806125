"""What the kernel of a host should hold for its networks, as values. Pure."""

__all__ = [
    "applicable_entries",
    "datagram_routes",
    "device_plan",
    "dns_zone",
    "host_prefixes",
    "host_state",
    "kernel_diff",
    "kernel_objects",
    "link_names",
    "network_snapshot",
    "nft_fragments",
    "nft_rules",
    "port_guard_rules",
    "rejected_fragments",
    "sysctls",
]
