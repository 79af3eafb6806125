"""GET /distribution/{name}/json, and tags resolved to digests by asking a registry.

A tag is resolved once, by a manager, so that all hosts run one image. An image that was loaded on a manager, without a
registry, has its id as the digest (manager/images/image_tags.py) and no registry is asked; workers' tags do not count.
Answers are cached for a few seconds: the docker client asks here before it creates the service, and neither of the two
requests should wait for a dead registry again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from api.engine.distribution import DescriptorAnswer, DistributionAnswer, ImagePlatformAnswer
from api.errors import NotFound
from api.http.app import answer
from api.image_reference import Reference, parse
from api.registry_auth import HEADER, Login, login_of
from kit.timing import Clock
from manager.http.cluster_context import ClusterContext
from manager.images.image_tags import TagMeaning, manager_descriptions, tag_meaning
from manager.images.registry import Manifest, ask_registry
from manager.store.state import State

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
KEEP = 10.0
"""Seconds that a registry's answer is cached."""
MOST_KEPT = 256
Ask = Callable[[Reference, Login | None], Awaitable[Manifest]]


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    until: float
    manifest: Manifest | None
    why: str = ""


def login_sent(request: web.Request) -> Login | None:
    """The registry login in the request's header, if any. Raises Invalid for a malformed header."""
    return login_of(request.headers.get(HEADER, ""))


class DistributionHandlers:
    """Handlers of /distribution; resolves tags to digests."""

    def __init__(self, get: Callable[[], ClusterContext], ask: Ask = ask_registry) -> None:
        self._get = get
        self._ask = ask
        self._kept: dict[tuple[str, Login | None], _CachedAnswer] = {}

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/distribution/{name:.+}/json", self.inspect)]

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /distribution/{name}/json."""
        ctx = self._get()
        reference = parse(request.match_info["name"])
        manifest = await self.resolve(ctx.store.state, reference, login_sent(request), ctx.clock)
        return answer(distribution_answer(manifest))

    async def pin(self, ctx: ClusterContext, image: str, before: str, login: Login | None) -> tuple[str, list[str]]:
        """The image with its digest (without one if the tag cannot be resolved), and warnings.

        `before` is the service's image until now: its digest stays when the same tag cannot be resolved.
        """
        reference = parse(image)
        if reference.digest:
            return image, []
        is_known = self._fresh(reference, login, ctx.clock()) is not None
        try:
            manifest = await self.resolve(ctx.store.state, reference, login, ctx.clock)
        except NotFound as error:
            if before and _without_digest(before) == image:
                return before, []
            return image, [] if is_known else [
                f"image {image} could not be resolved to a digest ({error}); hosts use the tag"
            ]
        return f"{image}@{manifest.digest}", []

    async def resolve(self, state: State, reference: Reference, login: Login | None, clock: Clock) -> Manifest:
        """The manifest that the reference means now. Raises NotFound."""
        kept = self._fresh(reference, login, clock())
        if kept is None:
            kept = await self._inquire(state, reference, login, clock)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[str(reference), login] = kept
        if kept.manifest is None:
            raise NotFound(kept.why)
        return kept.manifest

    def _fresh(self, reference: Reference, login: Login | None, now: float) -> _CachedAnswer | None:
        kept = self._kept.get((str(reference), login))
        return kept if kept and kept.until > now else None

    async def _inquire(self, state: State, reference: Reference, login: Login | None, clock: Clock) -> _CachedAnswer:
        said = tag_meaning(manager_descriptions(state), reference) if reference.tag else TagMeaning()
        known = Manifest(said.digest, CONFIG_TYPE, 0, said.platforms) if said.digest else None
        if said.local:
            return _CachedAnswer(clock() + KEEP, known, said.why)
        try:
            return _CachedAnswer(clock() + KEEP, await self._ask(reference, login))
        except NotFound as error:
            return _CachedAnswer(clock() + KEEP, known, str(error))


def distribution_answer(manifest: Manifest) -> DistributionAnswer:
    """The answer about a manifest."""
    return DistributionAnswer(
        DescriptorAnswer(manifest.media_type, manifest.digest, manifest.size),
        [ImagePlatformAnswer(*platform) for platform in manifest.platforms],
    )


def _without_digest(image: str) -> str:
    return image.partition("@")[0]
