"""Images of a host: the bodies of the /images paths, and the lines of progress that loading and pulling answer."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from api.engine.common import Answer, Empty, FullAnswer
from api.service.container import Healthcheck


class GraphDriver(FullAnswer, frozen=True):
    """The storage driver, and where it keeps a file system on the host's disk."""

    name: str = ""
    data: dict[str, str] = {}


class ImageSummaryAnswer(FullAnswer, frozen=True, kw_only=True):
    """An item of GET /images/json. `created` is in Unix seconds; sizes are in bytes, -1 where they are not known."""

    containers: int = -1
    created: int = 0
    id: str = field(name="Id")
    labels: dict[str, str] | None = None
    parent_id: str = field(name="ParentId", default="")
    repo_digests: list[str] = []
    repo_tags: list[str] = []
    shared_size: int = -1
    size: int = 0


class RootFS(FullAnswer, frozen=True, rename="pascal"):
    """The layers of an image: the digests of their content, the lowest first."""

    type: str = "layers"
    layers: list[str] = []


class ImageMetadata(FullAnswer, frozen=True):
    """What the host stores about an image beside the image itself."""

    last_tag_time: str = ""


class ImageRunConfig(FullAnswer, frozen=True):
    """The image's defaults for its containers."""

    user: str = ""
    env: list[str] = []
    cmd: list[str] | None = None
    entrypoint: list[str] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    volumes: dict[str, Empty] | None = None
    exposed_ports: dict[str, Empty] | None = None
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None


class ImageAnswer(FullAnswer, frozen=True):
    """GET /images/{name}/json. `size` is in bytes."""

    id: str = field(name="Id")
    repo_tags: list[str] = []
    repo_digests: list[str] = []
    parent: str = ""
    comment: str = ""
    created: str = ""
    author: str = ""
    config: ImageRunConfig = ImageRunConfig()
    architecture: str = ""
    variant: str = ""
    os: str = field(name="Os", default="")
    size: int = 0
    graph_driver: GraphDriver = GraphDriver()
    root_fs: RootFS = field(name="RootFS", default=RootFS())
    metadata: ImageMetadata = ImageMetadata()


class ImageHistoryAnswer(FullAnswer, frozen=True, kw_only=True):
    """An item of GET /images/{name}/history: one step of the build. `created` is in Unix seconds, `size` in bytes."""

    comment: str = ""
    created: int = 0
    created_by: str = ""
    id: str = field(name="Id")
    size: int = 0
    tags: list[str] | None = None


class ImageDeletedAnswer(FullAnswer, frozen=True):
    """An item of what DELETE /images/{name} answers: a name or an image that was deleted."""

    deleted: str | UnsetType = UNSET
    untagged: str | UnsetType = UNSET


class ImagesPruneAnswer(FullAnswer, frozen=True):
    """POST /images/prune. `space_reclaimed` is in bytes."""

    images_deleted: list[ImageDeletedAnswer] | None = None
    space_reclaimed: int = 0


class ProgressError(FullAnswer, frozen=True, rename="lower"):
    """Why loading or pulling failed."""

    message: str = ""


class ProgressAnswer(Answer, frozen=True, rename="camel"):
    """One line of what POST /images/load and /images/create answer; empty fields are left out."""

    status: str = ""
    id: str = ""
    stream: str = ""
    error_detail: ProgressError | None = None
    error: str = ""
