"""How fields are spelled outside: `nano_cpus` is `NanoCPUs` in the Docker Engine API."""

_WORDS = {
    "ca": "CA", "cidr": "CIDR", "cpu": "CPU", "cpus": "CPUs", "csi": "CSI", "dns": "DNS", "id": "ID", "ids": "IDs",
    "ip": "IP", "ipam": "IPAM", "ipv4": "IPv4", "ipv6": "IPv6", "mac": "MAC", "mtu": "MTU", "oom": "Oom", "os": "OS",
    "pid": "PID", "tls": "TLS", "tty": "TTY", "uid": "UID", "gid": "GID", "url": "URL", "vip": "VIP", "vips": "VIPs",
    "vni": "VNI", "gpu": "GPU",
}  # fmt: skip


def docker_name(field: str) -> str:
    """The Engine API's spelling of one of our field names."""
    return "".join(_WORDS.get(word) or word.capitalize() for word in field.split("_"))
