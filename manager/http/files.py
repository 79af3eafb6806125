"""/secrets and /configs: lists that are empty, since Argosy does not have them; clients ask for them all the same."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.errors import NotFound, Unimplemented
from api.http import answer, filters
from manager.http.context import ClusterContext

FILTERS = frozenset({"id", "label", "name", "names"})


class Files:
    """Handlers of /secrets or /configs (`kind` is "secret" or "config")."""

    def __init__(self, get: Callable[[], ClusterContext], kind: str) -> None:
        self._get = get
        self._kind = kind

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        base = f"/{self._kind}s"
        return [
            web.get(base, self.list_all),
            web.post(f"{base}/create", self.create),
            web.get(f"{base}/{{id}}", self.missing),
            web.delete(f"{base}/{{id}}", self.missing),
            web.post(f"{base}/{{id}}/update", self.missing),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET: none."""
        self._get()
        filters(request, FILTERS)
        return answer([])

    async def create(self, request: web.Request) -> web.Response:
        """POST …/create."""
        self._get()
        raise Unimplemented(f"{self._kind}s are not supported yet; mount a file or set an environment variable instead")

    async def missing(self, request: web.Request) -> web.Response:
        """Everything about one of them."""
        self._get()
        raise NotFound(f"{self._kind} {request.match_info['id']} not found")
