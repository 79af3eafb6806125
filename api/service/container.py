"""What runs in a task's container: image, command, files, mounts, and security options."""

from __future__ import annotations

from typing import Literal

import msgspec

from api import defaults
from api.codec import Value
from api.service.host_config import Hook, HostConfig


class Healthcheck(Value, frozen=True):
    """Docker's healthcheck. `test` is ["NONE"], ["CMD", …], ["CMD-SHELL", text], or empty for the image's own."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0

    @property
    def interval_seconds(self) -> float:
        """Between two probes; 0 when it is not said, as of all that follow."""
        return self.interval / defaults.SECOND

    @property
    def timeout_seconds(self) -> float:
        """After which a probe has failed."""
        return self.timeout / defaults.SECOND

    @property
    def start_period_seconds(self) -> float:
        """After the start, in which failures do not count."""
        return self.start_period / defaults.SECOND

    @property
    def start_interval_seconds(self) -> float:
        """Between two probes in the start period."""
        return self.start_interval / defaults.SECOND


class DNSConfig(Value, frozen=True):
    """What goes into resolv.conf beside our own server."""

    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []


class FileTarget(Value, frozen=True):
    """Where a secret or config appears in the container."""

    name: str = ""
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444


class SecretReference(Value, frozen=True):
    """A secret a container uses."""

    file: FileTarget | None = None
    secret_id: str = ""
    secret_name: str = ""


class ConfigReference(Value, frozen=True):
    """A config a container uses."""

    file: FileTarget | None = None
    config_id: str = ""
    config_name: str = ""


class Ulimit(Value, frozen=True):
    """Soft and hard limit; -1 is unlimited."""

    name: str = ""
    soft: int = 0
    hard: int = 0


class SecurityProfile(Value, frozen=True):
    """Seccomp or AppArmor: `mode` is default, unconfined, disabled or custom."""

    mode: str = ""
    profile: str = ""


class SELinuxContext(Value, frozen=True):
    """SELinux labels of the container."""

    disable: bool = False
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class Privileges(Value, frozen=True):
    """Security options of a container."""

    seccomp: SecurityProfile | None = None
    app_armor: SecurityProfile | None = None
    no_new_privileges: bool = False
    se_linux_context: SELinuxContext | None = msgspec.field(default=None, name="SELinuxContext")


class ContainerSpec(Value, frozen=True):
    """What runs in a task's container."""

    image: str = ""
    labels: dict[str, str] = {}
    command: list[str] = []
    """Replaces the image's entrypoint."""
    args: list[str] = []
    """Replaces the image's command."""
    hostname: str = ""
    env: list[str] = []
    dir: str = ""
    user: str = ""
    groups: list[str] = []
    privileges: Privileges | None = None
    tty: bool = False
    open_stdin: bool = False
    read_only: bool = False
    mounts: list[Mount] = []
    stop_signal: str = ""
    stop_grace_period: int | None = None
    healthcheck: Healthcheck | None = None
    hosts: list[str] = []
    """Lines of /etc/hosts: "ADDRESS NAME …"."""
    dns_config: DNSConfig | None = None
    secrets: list[SecretReference] = []
    configs: list[ConfigReference] = []
    isolation: str = ""
    init: bool | None = None
    sysctls: dict[str, str] = {}
    capability_add: list[str] = []
    capability_drop: list[str] = []
    ulimits: list[Ulimit] = []
    oom_score_adj: int = 0
    domainname: str = ""
    pull_policy: Literal["", "always", "missing", "if_not_present", "never"] = ""
    platform: str = ""
    """Of the image, for one that has several: "linux/arm64/v8"."""
    host_config: HostConfig | None = None
    post_start: list[Hook] = []
    pre_stop: list[Hook] = []

    @property
    def grace_seconds(self) -> float:
        """Time between the stop signal and SIGKILL."""
        grace = defaults.STOP_GRACE_PERIOD if self.stop_grace_period is None else self.stop_grace_period
        return grace / defaults.SECOND


MOUNT_TYPES = ("bind", "volume", "tmpfs")
"""The types of mounts that Argosy supports."""


PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
"""Whether mounts made later go from the host to a container, or back; the first is the usual one."""


class BindOptions(Value, frozen=True):
    """How a bind mount is made."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class Driver(Value, frozen=True):
    """A driver and its options (volumes, logs)."""

    name: str = ""
    options: dict[str, str] = {}


class VolumeOptions(Value, frozen=True):
    """How a volume is made when it does not exist yet."""

    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: Driver | None = None
    subpath: str = ""


TMPFS_VALUES = ("uid", "gid", "nr_inodes", "nr_blocks", "mpol")
TMPFS_SWITCHES = (
    "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync", "atime", "noatime", "diratime",
    "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
)  # fmt: skip
"""What Docker takes for a tmpfs besides ro, rw, size and mode."""


class TmpfsOptions(Value, frozen=True):
    """Size in bytes (0: half the memory), mode as file permission bits."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] = []


class Mount(Value, frozen=True):
    """One mount of a container."""

    type: Literal["bind", "volume", "tmpfs", "npipe", "cluster", "image"] = "bind"
    """The last three are Docker's, and refused (api/service/unsupported.py)."""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
