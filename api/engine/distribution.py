"""What a registry has behind an image's name."""

from __future__ import annotations

from api.engine.common import Answer, always


class DescriptorAnswer(Answer, frozen=True, rename="camel"):
    """A manifest, as OCI describes one."""

    media_type: str = always("")
    digest: str = always("")
    size: int = always(0)


class ImagePlatformAnswer(Answer, frozen=True, rename="lower"):
    """A machine and system that there is an image for."""

    architecture: str = always("")
    os: str = always("")
    variant: str = ""


class DistributionAnswer(Answer, frozen=True):
    """GET /distribution/{name}/json."""

    descriptor: DescriptorAnswer = always(DescriptorAnswer())
    platforms: list[ImagePlatformAnswer] = always([])
