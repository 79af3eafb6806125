"""The attribute table: `deploy`, `build` and `develop` of a service."""

from __future__ import annotations

from compose.table.rule import (
    Table,
    assignments,
    device_requests,
    files,
    hook,
    hosts,
    one_or_more,
    strings,
    takes,
    ulimits,
    under,
)

_NOT_BUILT = "refused by `argosy stack build`: buildah cannot; it has no part in deploying"
_WATCH = "has no effect on a deployed service; it is for `docker compose watch`"


def _update(path: str, *failure_actions: str) -> Table:
    return {
        path: takes("map|null"),
        f"{path}.parallelism": takes("integer"),
        f"{path}.delay": takes("duration"),
        f"{path}.failure_action": takes("string", *failure_actions),
        f"{path}.monitor": takes("duration"),
        f"{path}.max_failure_ratio": takes("number"),
        f"{path}.order": takes("string", "start-first", "stop-first"),
    }


_GENERIC = "resources.reservations.generic_resources"

DEPLOY: Table = {
    "mode": takes("string", "replicated", "global", "replicated-job", "global-job"),
    "endpoint_mode": takes("string", "vip", "dnsrr"),
    "replicas": takes("integer"),
    **assignments("labels"),
    **_update("update_config", "continue", "pause", "rollback"),
    **_update("rollback_config", "continue", "pause"),
    "resources": takes("map|null"),
    "resources.limits": takes("map|null"),
    "resources.limits.cpus": takes("number"),
    "resources.limits.memory": takes("size"),
    "resources.limits.pids": takes("integer"),
    "resources.reservations": takes("map|null"),
    "resources.reservations.cpus": takes("number"),
    "resources.reservations.memory": takes("size"),
    **device_requests("resources.reservations.devices"),
    "resources.reservations.devices.[]": takes("map", required=("capabilities",)),
    _GENERIC: takes("list"),
    f"{_GENERIC}.[]": takes("map"),
    f"{_GENERIC}.[].discrete_resource_spec": takes("map", required=("kind", "value")),
    f"{_GENERIC}.[].discrete_resource_spec.kind": takes("string"),
    f"{_GENERIC}.[].discrete_resource_spec.value": takes("integer"),
    "restart_policy": takes("map|null"),
    "restart_policy.condition": takes("string", "none", "on-failure", "any"),
    "restart_policy.delay": takes("duration"),
    "restart_policy.max_attempts": takes("integer"),
    "restart_policy.window": takes("duration"),
    "placement": takes("map|null"),
    **strings("placement.constraints"),
    "placement.preferences": takes("list"),
    "placement.preferences.[]": takes("map", required=("spread",)),
    "placement.preferences.[].spread": takes("string"),
    "placement.max_replicas_per_node": takes("integer"),
}

SCHEDULE: Table = {
    "x-argosy-schedule": takes(
        "map|string",
        how='for jobs: when they run, such as "0 3 * * *"; short for `cron`',
    ),
    **under(
        "x-argosy-schedule",
        {
            "cron": takes("string"),
            "timezone": takes("string"),
            "overlap": takes("string", "allow", "forbid", "replace"),
            "missed_window": takes("duration"),
            "active_deadline": takes("duration"),
            "history": takes("integer"),
            "suspend": takes("boolean"),
        },
    ),
}

BUILD: Table = {
    "build": takes(
        "map|string|null",
        how="by `argosy stack build`, not when deploying; an image without a name is called STACK-SERVICE",
    ),
    **under(
        "build",
        {
            "context": takes("string"),
            "dockerfile": takes("string"),
            "dockerfile_inline": takes("string"),
            "target": takes("string"),
            **assignments("args"),
            **assignments("labels"),
            **assignments("additional_contexts"),
            **assignments("ssh"),
            **strings("tags"),
            **strings("platforms"),
            **strings("cache_from"),
            **strings("cache_to"),
            **strings("entitlements", how=_NOT_BUILT),
            **files("secrets"),
            **hosts("extra_hosts"),
            **ulimits("ulimits"),
            "network": takes("string"),
            "no_cache": takes("boolean"),
            **one_or_more("no_cache_filter", how="buildah has none: the whole build goes without its cache"),
            "pull": takes("boolean"),
            "privileged": takes("boolean", how=_NOT_BUILT),
            "shm_size": takes("size"),
            "isolation": takes("string", how="as buildah knows it: oci, rootless or chroot"),
            "provenance": takes("boolean|string", how=_NOT_BUILT),
            "sbom": takes("boolean|string", how=_NOT_BUILT),
        },
    ),
}

DEVELOP: Table = {
    "develop": takes("map|null", note=_WATCH),
    **under(
        "develop",
        {
            "watch": takes("list|null", how=_WATCH),
            "watch.[]": takes("map", required=("path", "action")),
            "watch.[].path": takes("string"),
            "watch.[].action": takes("string", "rebuild", "sync", "restart", "sync+restart", "sync+exec"),
            "watch.[].target": takes("string"),
            "watch.[].initial_sync": takes("boolean"),
            "watch.[].ignore": takes("list|string"),
            "watch.[].ignore.[]": takes("string"),
            "watch.[].include": takes("list|string"),
            "watch.[].include.[]": takes("string"),
            **hook("watch.[].exec"),
        },
    ),
}
