"""Phase 13: `pre_start`, steps that run to completion once before a service starts.

Each step becomes a job of the stack, with the service's image, networks, mounts, secrets and environment. The first
depends on what the service depends on, each further one on the previous one, and the service on the last. The jobs run
again when the service's task template changes.
"""

from __future__ import annotations

import hashlib

import msgspec

from api import codec
from api.service import service_spec
from api.service.container import ContainerSpec, Healthcheck
from api.service.host_config import HostConfig
from api.service.mode import Mode, ModeKind
from compose.model.project import InitStep, Service
from compose.model.stack import StackService

OF = "io.argosy.stack.pre-start"
"""Label of such a job: the digest of the service's task template."""
replace = msgspec.structs.replace


def init_jobs(service: StackService, source: Service) -> list[StackService]:
    """The jobs, followed by the service that waits for them. Only the service when it has no `pre_start`."""
    if not source.pre_start:
        return [service]
    jobs: list[StackService] = []
    before = list(service.spec.depends_on)
    for number, step in enumerate(source.pre_start, 1):
        job = _job(service.spec, step, number, before)
        jobs.append(StackService(f"{service.short_name}-pre-start-{number}", job))
        before = [service_spec.Dependency(service=job.name, condition="completed")]
    spec = replace(service.spec, depends_on=[*service.spec.depends_on, *before])
    return [*jobs, StackService(service.short_name, spec)]


def _job(
    of: service_spec.ServiceSpec, step: InitStep, number: int, before: list[service_spec.Dependency]
) -> service_spec.ServiceSpec:
    task = of.task_template
    digest = hashlib.sha256(codec.encode(task)).hexdigest()[:12]
    return service_spec.ServiceSpec(
        name=f"{of.name}-pre-start-{number}",
        labels=of.labels | {OF: digest},
        task_template=service_spec.TaskSpec(
            container_spec=_container(task.container_spec, step),
            resources=task.resources,
            restart_policy=service_spec.RestartPolicy(condition="none"),
            placement=replace(task.placement, max_replicas=0) if task.placement else None,
            networks=[service_spec.NetworkTarget(target=network.target) for network in task.networks],
            log_driver=task.log_driver,
        ),
        mode=Mode.of(ModeKind.REPLICATED_JOB, 1, 1),
        depends_on=before,
    )


def _container(of: ContainerSpec, step: InitStep) -> ContainerSpec:
    own = {name.partition("=")[0] for name in step.environment}
    host = replace(of.host_config or HostConfig(), privileged=True) if step.privileged else of.host_config
    return replace(
        of,
        image=step.image or of.image,
        command=step.command,
        args=[],
        user=step.user or of.user,
        dir=step.working_dir or of.dir,
        env=[
            *(entry for entry in of.env if entry.partition("=")[0] not in own),
            *(f"{name}={value or ''}" for name, value in sorted(step.environment.items())),
        ],
        hostname="",
        healthcheck=Healthcheck(test=["NONE"]),
        host_config=host,
        post_start=[],
        pre_stop=[],
    )
