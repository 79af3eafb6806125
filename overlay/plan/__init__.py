"""What the kernel should hold. Pure."""

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
    "nft_rules",
    "port_guard_rules",
    "rule_sieve",
    "sysctls",
]
