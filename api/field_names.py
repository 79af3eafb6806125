"""How fields are spelled outside: `nano_cpus` is `NanoCPUs` in the Docker Engine API."""

import re
import secrets

_WORDS = {
    "ca": "CA", "cidr": "CIDR", "cpu": "CPU", "cpus": "CPUs", "csi": "CSI", "dns": "DNS", "id": "ID", "ids": "IDs",
    "ip": "IP", "ipam": "IPAM", "ipv4": "IPv4", "ipv6": "IPv6", "mac": "MAC", "mtu": "MTU", "oom": "Oom", "os": "OS",
    "pid": "PID", "tls": "TLS", "tty": "TTY", "uid": "UID", "gid": "GID", "url": "URL", "vip": "VIP", "vips": "VIPs",
    "vni": "VNI", "gpu": "GPU",
}  # fmt: skip

# Of Docker's three styles for names this is the strictest, so that a name is also a DNS label.
SERVICE_NAME = re.compile(r"[a-zA-Z0-9](?:[-_A-Za-z0-9]*[A-Za-z0-9])?")
ID_LENGTH = 25
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def docker_name(field: str) -> str:
    """The Engine API's spelling of one of our field names."""
    return "".join(_WORDS.get(word) or word.capitalize() for word in field.split("_"))


def new_id() -> str:
    """A fresh object id in Swarm's form: 25 digits of base 36."""
    number = secrets.randbits(128)
    digits = ""
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
