"""/services: what users want to run."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
from aiohttp import web

from api.engine.common import CreatedAnswer
from api.engine.services import ServiceUpdatedAnswer
from api.errors import Conflict, Invalid
from api.http.app import answer, body
from api.http.query import filters, flag, label_match, version
from api.ids import new_id
from api.image_reference import parse
from api.objects.kinds import SERVICE
from api.objects.wanted import Service
from api.reasons.reason import Code, reason
from api.reasons.reason_text import refusal
from api.service.canonical import canonical
from api.service.self_declared import secrets_warning
from api.service.service_spec import ServiceSpec
from manager.http.cluster_context import ClusterContext
from manager.http.distribution_handlers import DistributionHandlers, login_sent
from manager.http.services.name_generator import invented_name
from manager.http.services.preserved_fields import is_docker_client, preserved
from manager.http.services.service_admission import admit
from manager.http.services.service_answers import ServiceAnswers, answer_with_defaults
from manager.security.registry_credentials import RegistryCredentials, credentials_of, sealed
from manager.status.service_counts import previous_revision, spec_in_force
from manager.store.claims import claim, release
from manager.store.interface import ABSENT, Change, Delete, Put
from manager.store.lookup import find_service
from manager.store.state import State
from manager.store.transact import at_version, keeps_changing, transact, transact_at

FILTERS = frozenset({"id", "label", "mode", "name", "runtime"})
_MODES = {"replicated", "global", "replicated-job", "global-job"}


class ServiceHandlers:
    """Handlers of /services."""

    def __init__(self, get: Callable[[], ClusterContext], distribution: DistributionHandlers) -> None:
        self._get = get
        self._distribution = distribution
        self._rng = random.SystemRandom()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/services", self.list_all),
            web.post("/services/create", self.create),
            web.get("/services/{id}", self.inspect),
            web.post("/services/{id}/update", self.update),
            web.delete("/services/{id}", self.delete),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET /services."""
        state = self._get().store.state
        chosen = filters(request, FILTERS)
        for mode in chosen.get("mode", ()):
            if mode not in _MODES:
                raise Invalid(f"invalid filter 'mode={mode}'; modes are {', '.join(sorted(_MODES))}")
        services = sorted(state.services.values(), key=lambda s: (s.created_at, s.id))
        answers = state.index(ServiceAnswers)
        made = answers.with_status if flag(request, "status") else answers.of
        return answer([made(service) for service in services if not chosen or _passes(service, chosen)])

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /services/{id}."""
        state = self._get().store.state
        service = find_service(state, request.match_info["id"])
        if flag(request, "insertDefaults"):
            return answer(answer_with_defaults(state, service))
        return answer(state.index(ServiceAnswers).of(service))

    async def create(self, request: web.Request) -> web.Response:
        """POST /services/create."""
        ctx = self._get()
        spec = canonical(await body(request, ServiceSpec))
        if not spec.name:
            spec = msgspec.structs.replace(spec, name=invented_name(self._rng))
        admit(ctx.store.state, spec)  # report errors before a registry is asked
        login = _login(request, spec)
        spec, warnings = await self._pinned(ctx, spec, login)
        service = await self._store_new(ctx, spec, login)
        warnings += _warnings(spec)
        return answer(CreatedAnswer(service.id, warnings), 201)

    async def update(self, request: web.Request) -> web.Response:
        """POST /services/{id}/update."""
        ctx = self._get()
        service = find_service(ctx.store.state, request.match_info["id"])
        asked = canonical(await body(request, ServiceSpec))
        read = await at_version(ctx.store, SERVICE, service.id, version(request, "service"), "service")
        service = ctx.store.state.services[service.id]
        if is_docker_client(request):
            asked = preserved(asked, service.spec)
        rollback = _rollback(request)
        warnings: list[str] = []
        login = _login(request, asked) or credentials_of(ctx.store.state, service)
        if rollback:
            asked = _previous(ctx.store.state, service)
        spec = admit(ctx.store.state, asked, service)
        if not rollback:
            spec, warnings = await self._pinned(ctx, spec, login, service.spec)
        changed, more = sealed(ctx.store.state, service, login) if login else (service, [])
        if spec != spec_in_force(ctx.store.state, service):
            changed = msgspec.structs.replace(
                changed, spec=spec, revision=service.revision + 1, rollback=rollback, updated_at=ctx.clock()
            )
        if changed != service:
            await transact_at(ctx.store, [Put(SERVICE, service.id, changed, read), *more], "service")
        return answer(ServiceUpdatedAnswer(warnings + _warnings(spec)))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /services/{id}."""
        reference = request.match_info["id"]

        def decide(state: State) -> tuple[list[Change], None]:
            return removal(state, find_service(state, reference)), None

        await transact(self._get().store, decide, keeps_changing(f"service {reference}"))
        return web.Response()

    async def _pinned(
        self, ctx: ClusterContext, spec: ServiceSpec, login: RegistryCredentials | None, old: ServiceSpec | None = None
    ) -> tuple[ServiceSpec, list[str]]:
        """The spec with its image's tag resolved to a digest if possible, and warnings."""
        container = spec.task_template.container_spec
        before = old.task_template.container_spec.image if old else ""
        is_its = login is not None and login.domain == parse(container.image).domain
        image, warnings = await self._distribution.pin(
            ctx, container.image, before, login.login if login and is_its else None
        )
        container = msgspec.structs.replace(container, image=image)
        task = msgspec.structs.replace(spec.task_template, container_spec=container)
        return msgspec.structs.replace(spec, task_template=task), warnings

    async def _store_new(self, ctx: ClusterContext, spec: ServiceSpec, login: RegistryCredentials | None) -> Service:
        def decide(state: State) -> tuple[list[Change], Service]:
            admitted = admit(state, spec)  # raises Conflict when another service took the name meanwhile
            now = ctx.clock()
            service = Service(id=new_id(), created_at=now, updated_at=now, spec=admitted)
            service, more = sealed(state, service, login) if login else (service, [])
            name = claim(state, "service", spec.name, service.id)
            return [name, Put(SERVICE, service.id, service, ABSENT), *more], service

        taken = Conflict(f"name conflicts with an existing object: service {spec.name} already exists")
        return await transact(ctx.store, decide, taken)


def removal(state: State, service: Service) -> list[Change]:
    """The changes that remove a service; the leader's next round removes its tasks, addresses and history."""
    return [
        Delete(SERVICE, service.id, state.version(SERVICE, service.id)),
        *release(state, "service", service.spec.name, service.id),
    ]


def _passes(service: Service, chosen: dict[str, set[str]]) -> bool:
    spec = service.spec
    checks = {
        "id": lambda values: service.id.startswith(tuple(values)),
        "name": lambda values: spec.name.startswith(tuple(values)),
        "label": lambda values: label_match(spec.labels, values),
        "mode": lambda values: spec.mode_kind in values,
        "runtime": lambda values: (spec.task_template.runtime or "container") in values,
    }
    return all(checks[name](values) for name, values in chosen.items())


def _warnings(spec: ServiceSpec) -> list[str]:
    return [warning] if (warning := secrets_warning(spec)) else []


def _login(request: web.Request, spec: ServiceSpec) -> RegistryCredentials | None:
    login = login_sent(request)
    return RegistryCredentials(parse(spec.task_template.container_spec.image).domain, login) if login else None


def _rollback(request: web.Request) -> bool:
    asked = request.query.get("rollback", "")
    if asked not in ("", "none", "previous"):
        raise Invalid(f"invalid rollback option '{asked}'; previous is the only one")
    source = request.query.get("registryAuthFrom", "")
    if source not in ("", "spec", "previous-spec"):
        raise Invalid(f"invalid registryAuthFrom '{source}'; spec or previous-spec")
    return asked == "previous"


def _previous(state: State, service: Service) -> ServiceSpec:
    previous = previous_revision(state, service)
    if previous is None:
        raise refusal(Invalid, reason(Code.NO_PREVIOUS_REVISION, service=service.spec.name))
    return previous.spec
