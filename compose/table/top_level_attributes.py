"""The attribute table: top-level attributes (networks, volumes, secrets, configs, include)."""

from __future__ import annotations

from compose.table.rule import (
    AttributeRule,
    Table,
    assignments,
    external,
    options,
    refused,
    refused_whole,
    takes,
    under,
)

_CREATED_BY_VERSION = "created as STACK_NAME-DIGEST: changed content makes a new one, and its users roll"
_PLUGIN = "there are no secret drivers; give the value with `file` or `environment`"
_TEMPLATE = "the content of secrets and configs is not a template; use variables in `content`"
_NETWORK_OPTIONS = (
    "`com.docker.network.driver.mtu` and `com.docker.network.driver.overlay.vxlanid_list`; the others, `encrypted` "
    "among them, are refused"
)
_MODELS = "models are run by Docker Desktop; run the model as a service of its own"

TOP: Table = {
    "version": takes("scalar", how="has no meaning any more, as in Docker Compose"),
    "name": takes("string", how="the stack's name, when the command gives none"),
    "include": takes("list|null"),
    "include.[]": takes("map|string", required=("path",)),
    "include.[].path": takes("list|string"),
    "include.[].path.[]": takes("string"),
    "include.[].env_file": takes("list|string|null"),
    "include.[].env_file.[]": takes("string"),
    "include.[].project_directory": takes("string"),
    **refused_whole(
        "models", _MODELS, "*", "*.context_size", "*.model", "*.name", "*.runtime_flags", "*.runtime_flags.[]"
    ),
    "services": takes("map"),
    "services.*": takes("map"),
    "networks": takes("map|null"),
    "networks.*": takes("map|null", how="networks no service uses are not created"),
    "volumes": takes("map|null"),
    "volumes.*": takes("map|null", how="a host makes the volume when a task first needs it there"),
    "secrets": takes("map|null"),
    "secrets.*": takes("map", how=_CREATED_BY_VERSION),
    "configs": takes("map|null"),
    "configs.*": takes("map", how=_CREATED_BY_VERSION),
}

NETWORK: Table = {
    "name": takes("string"),
    "driver": takes(
        "string",
        "overlay",
        "bridge",
        "default",
        "",
        how="`bridge` and `default` make an overlay network: it spans hosts",
    ),
    **options("driver_opts", how=_NETWORK_OPTIONS),
    "ipam": takes("map|null"),
    "ipam.driver": takes("string", "default", ""),
    "ipam.config": takes("list|null", how="one subnet, of IPv4"),
    "ipam.config.[]": takes("map"),
    "ipam.config.[].subnet": takes("string"),
    "ipam.config.[].ip_range": takes("string"),
    "ipam.config.[].gateway": takes("string"),
    **options("ipam.config.[].aux_addresses"),
    **refused_whole("ipam.options", "there are no other IPAM drivers", "*"),
    **external("external"),
    "internal": takes("boolean"),
    "enable_ipv4": refused("networks always have IPv4", True),
    "enable_ipv6": refused("overlay networks have IPv4 only", False),
    "attachable": takes("boolean"),
    **assignments("labels"),
}

VOLUME: Table = {
    "name": takes("string"),
    "driver": takes("string", how="`local`, which does NFS and bind mounts by `driver_opts`"),
    **options("driver_opts"),
    **external("external"),
    **assignments("labels"),
}

_FILE: Table = {
    "name": takes("string", how="the name's beginning; the digest of the content is added"),
    "environment": takes("string"),
    "file": takes("string"),
    **external("external"),
    **assignments("labels"),
    "template_driver": refused(_TEMPLATE),
}

SECRET: Table = {
    **_FILE,
    "driver": refused(_PLUGIN),
    "driver_opts": refused(_PLUGIN),
    "driver_opts.*": AttributeRule(refusal=_PLUGIN),
}

CONFIG: Table = {**_FILE, "content": takes("string")}

TABLE: Table = {
    **TOP,
    **under("networks.*", NETWORK),
    **under("volumes.*", VOLUME),
    **under("secrets.*", SECRET),
    **under("configs.*", CONFIG),
}
