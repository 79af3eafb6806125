"""What a registry knows about an image: the bodies of /distribution."""

from __future__ import annotations

from api.engine.common import Answer, always


class DescriptorAnswer(Answer, frozen=True, rename="camel"):
    """An OCI descriptor of a manifest."""

    media_type: str = always("")
    digest: str = always("")
    size: int = always(0)


class ImagePlatformAnswer(Answer, frozen=True, rename="lower"):
    """A platform that the image is built for."""

    architecture: str = always("")
    os: str = always("")
    variant: str = ""


class DistributionAnswer(Answer, frozen=True):
    """GET /distribution/{name}/json."""

    descriptor: DescriptorAnswer = always(DescriptorAnswer())
    platforms: list[ImagePlatformAnswer] = always([])
