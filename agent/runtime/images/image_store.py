"""The image store: the images of one host, with lookup, fetching (once for concurrent callers), names and export."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog

from agent.runtime.host_features import machine
from agent.runtime.images import image_archive, image_config
from agent.runtime.images.image_receiver import receive
from agent.runtime.images.layer_store import LayerStore, StorageFailure, StoredImage, StoredLayer
from agent.runtime.images.manifests import Manifests
from agent.runtime.images.peer_source import PeerSource
from agent.runtime.images.reference_store import ReferenceStore
from agent.runtime.interface import Image, ImageMissing
from api.errors import ArgosyError, Conflict, Invalid, NotFound
from api.image_reference import Reference, familiar, image_id, parse
from api.registry_auth import is_for
from kit.directories import make_directory
from kit.keyed import SingleFlight
from kit.streams import closable
from kit.thread_pool import ThreadPool

MOST_FETCHES = 4
"""Images being fetched or loaded at once."""
MOST_EXPORTS = 4
"""Images being exported to other hosts at once; further requests wait."""
MOST_CALLS = 16
"""Blocking calls on the disk at once."""
PATIENCE = 300.0
"""Seconds that such a call may take."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image that was loaded: `name` as Docker prints it, "" for an image without a name."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class ImageRemoval:
    """The result of removing an image."""

    untagged: tuple[str, ...]
    deleted: str = ""
    """The image's id, if the image was deleted with its last name."""


_NO_PEERS = "no other host of the cluster is known to have it"
_NO_DIGEST = "its tag is known to no manager, and other hosts are asked for digests only"


def digest_in(reference: str) -> str:
    """The digest in a reference (a registry's, or the image's id); "" if it has only a tag."""
    try:
        return image_id(reference) or parse(reference).digest
    except Invalid:
        return ""


def _flight(what: str, login: bytes) -> str:
    """The key of a shared fetch. Callers with different credentials do not share one: it may fail for one of them."""
    return f"{what} {hashlib.sha256(login).hexdigest()}" if login else what


class ImageStore:
    """The images below `root`. `peers` is None for a host without a cluster; `rng` spreads requests over the peers."""

    def __init__(
        self, root: Path, run_root: Path, peers: PeerSource | None, rng: random.Random, auth_file: Path | None = None
    ) -> None:
        self._workers = ThreadPool("images", MOST_CALLS, PATIENCE)
        self._layers = LayerStore(root, run_root, self._workers, auth_file)
        self._references = ReferenceStore(root / "argosy-names.json")
        self._manifests = Manifests(root / "argosy-manifests")
        self._scratch = root / "incoming"
        self._peers = peers
        self._rng = rng
        self._flights: SingleFlight[Image] = SingleFlight()
        self._slots = asyncio.Semaphore(MOST_FETCHES)
        self._exports = asyncio.Semaphore(MOST_EXPORTS)
        self._changed = asyncio.Event()
        self._images: dict[str, Image] = {}
        self.in_use: Callable[[str], list[str]] = lambda _: []
        """Names of the containers made from an image; set by the runtime."""
        self.on_event: Callable[[str, str, str], None] = lambda *_: None
        """Called with an action (pull, load, tag, untag, delete), the image's id and its name."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # left by a crash
        self._read()

    def all(self) -> list[Image]:
        """All complete images, the newest first."""
        return sorted((self._named(i) for i in self._images.values()), key=lambda i: (-i.created, i.id))

    async def wait(self) -> None:
        """Return when the set of images or their names changes."""
        await self._changed.wait()

    def find(self, text: str) -> Image | None:
        """The image with a name, a name with digest (a registry's, or the image's id), or an id; None if there is none.

        An id may be shortened as long as it is unique (12 digits or more are always taken for an id).
        """
        if id := self._id(text):
            return self._named(self._images[id])
        return None

    def get(self, text: str) -> Image:
        """The image, as by `find`. Raises NotFound."""
        if image := self.find(text):
            return image
        raise NotFound(f"No such image: {text}")

    async def image(self, reference: str, peers: Sequence[str], policy: str = "", login: bytes = b"") -> Image:
        """The image from this host, a peer or a registry, by the pull policy. Raises ImageMissing.

        Peers are asked only for references with a digest: a peer must not decide what a tag means.
        """
        # An image with a digest never changes.
        if policy == "always" and not digest_in(reference):
            return await self.pull(reference, login=login)
        if id := self._exact(reference):
            return self._named(self._images[id])
        if policy == "never":
            raise ImageMissing(f"no such image: {familiar(reference)}: not on this host, and never to be pulled")
        try:
            return await self._flights.share(_flight(reference, login), lambda: self._fetch(reference, peers, login))
        except OSError as error:
            raise ImageMissing(f"cannot store {familiar(reference)}: {error}") from None

    async def pull(self, reference: str, auth_file: Path | None = None, login: bytes = b"") -> Image:
        """Pull an image from its registry. The login is an auth.json, by path or as content.

        Raises Invalid or ImageMissing.
        """
        wanted = parse(reference)
        try:
            return await self._flights.share(
                _flight(f"pull {wanted}", login), lambda: self._from_registry(wanted, auth_file, login)
            )
        except StorageFailure as error:
            raise ImageMissing(f"cannot pull {wanted.familiar}: {error}") from None

    async def load(self, stream: AsyncIterator[bytes]) -> list[LoadedImage]:
        """Load all images of an archive (docker-archive or OCI, also compressed). Raises Invalid."""
        with self._workspace() as space:
            path = Path(space) / "image.tar"
            await image_archive.spool(stream, path, self._workers)
            loaded = []
            for part in await self._workers.run("reading the archive", image_archive.parts, path):
                loaded += await self._load_part(part)
        return loaded

    def tag(self, source: str, target: str) -> None:
        """Give an image a further name. Raises NotFound or Invalid."""
        image, name = self.get(source), parse(target)
        if name.digest:
            raise Invalid("refusing to create a tag with a digest reference")
        self._references.add(image.id, [str(name)])
        self.on_event("tag", image.id, name.familiar)
        self._tell()

    async def remove(self, text: str, force: bool = False) -> ImageRemoval:
        """Remove a name, and with its last name the image. By id: all names, if it has only one or with `force`.

        Raises NotFound, and Conflict when a container uses the image.
        """
        image = self.get(text)
        by_id = not self._is_name(text)
        gone = image.names if by_id else (str(parse(text)),)
        if by_id and len(image.names) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {text} (must be forced) - image is referenced in multiple repositories"
            )
        stays = [name for name in image.names if name not in gone]
        if not stays and (users := self.in_use(image.id)):
            raise Conflict(f"conflict: unable to delete {text} - it is used by container {users[0]}; remove that first")
        self._references.drop([name for name in gone if "@" not in name])
        for name in gone:
            self.on_event("untag", image.id, familiar(name))
        if not stays:
            await self._delete(image)
            self.on_event("delete", image.id, "")
        self._tell()
        return ImageRemoval(tuple(familiar(name) for name in gone), "" if stays else image.id)

    async def export(self, texts: Sequence[str]) -> AsyncIterator[bytes]:
        """An archive (docker-archive and OCI at once) of images. Raises NotFound."""
        found = [(self.get(text), str(parse(text)) if self._is_name(text) else "") for text in texts]
        with self._workspace() as space:
            exports = []
            for number, (image, name) in enumerate(found):
                directory = Path(space) / str(number)
                await self._layers.give(image.id, directory)
                exports.append(image_archive.Export(directory, (name,) if name and "@" not in name else image.names))
            async with aclosing(closable(image_archive.write(exports, self._workers))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def give(self, reference: str) -> AsyncIterator[bytes]:
        """An image for another host, with the manifests by which it can verify the digest. Raises NotFound, Invalid.

        It has no names: each host has its own.
        """
        if not (wanted := digest_in(reference)):
            raise Invalid(f"{reference} is no digest: what a tag means is not for another host to say")
        id = self._exact(reference)
        if not id:
            raise NotFound(f"No such image: {reference}")
        chain = () if wanted == id else await self._workers.run("reading its manifests", self._chain, wanted, id)
        async with self._exports:
            with self._workspace() as space:
                directory = Path(space) / "image"
                await self._layers.give(id, directory)
                exports = [image_archive.Export(directory, (), tuple(chain))]
                async with aclosing(closable(image_archive.write(exports, self._workers))) as chunks:
                    async for chunk in chunks:
                        yield chunk

    def config(self, id: str) -> image_config.ImageConfig:
        """An image's config. Raises FileNotFoundError."""
        return image_config.read(self._layers.config(id))

    def layer_sizes(self, id: str) -> list[int]:
        """Bytes of each layer, the lowest first. Raises KeyError when the image is gone."""
        return self._layers.layer_sizes(id)

    def layers(self, id: str) -> list[Path]:
        """The image's layer directories, the uppermost first. Raises KeyError or OSError when the image is gone."""
        return self._layers.lower(id)

    # ── fetching ──

    async def _fetch(self, reference: str, peers: Sequence[str], login: bytes) -> Image:
        tried = ["it is not on this host"]
        peers = peers if digest_in(reference) else ()
        if self._peers:
            for peer in self._rng.sample(list(peers), len(peers)):
                try:
                    return await self._from_peer(reference, peer)
                except (ArgosyError, OSError) as error:
                    tried.append(f"host {peer.partition('@')[0]} did not give it ({error})")
        if not peers:
            tried.append(_NO_PEERS if digest_in(reference) else _NO_DIGEST)
        try:
            wanted = parse(reference)
            return await self._from_registry(wanted, None, login)
        except Invalid as error:
            tried.append(str(error))
        except StorageFailure as error:
            tried.append(f"registry {wanted.domain} did not give it ({error})")
        raise ImageMissing(f"no image {familiar(reference)}: {'; '.join(tried)}. Load it on a manager, or push it")

    async def _from_peer(self, reference: str, peer: str) -> Image:
        assert self._peers
        wanted = digest_in(reference)
        with self._workspace() as space:
            async with self._slots, aclosing(closable(self._peers.fetch(peer, reference))) as stream:
                received = await receive(stream, wanted, machine(), Path(space), self._workers)
            id = await self._layers.take(f"dir:{space}")
        if id != received.id:
            raise Invalid(f"it sent {received.id}, and it was stored as {id}")
        for manifest in received.manifests:
            await self._workers.run("keeping its manifest", self._manifests.keep, manifest)
        await self._workers.run("reading the image store", self._read)
        if not image_id(reference):
            self._references.add(id, digests=[parse(reference).canonical])
        self._tell()
        return self.get(id)

    async def _from_registry(self, wanted: Reference, auth_file: Path | None, login: bytes) -> Image:
        options = ["--src-tls-verify=false"] if wanted.is_loopback else []
        with self._workspace() as space:
            if is_for(login, wanted.domain):  # else the host's own logins apply
                auth_file = Path(space) / "auth.json"
                auth_file.write_bytes(login)  # in a directory that only root can read
            if auth_file:
                options += ["--src-authfile", str(auth_file)]
            digest_file = Path(space) / "digest"
            async with self._slots:
                id = await self._layers.take(f"docker://{wanted.canonical}", "--digestfile", str(digest_file), *options)
            digests = {f"{wanted.name}@{d}" for d in (digest_file.read_text().strip(), wanted.digest) if d}
        await self._workers.run("keeping its manifests", self._keep_manifests, id)
        await self._workers.run("reading the image store", self._read)
        names = [str(replace(wanted, digest=""))] if wanted.tag else []
        self._references.add(id, names, digests)
        self.on_event("pull", wanted.familiar, wanted.familiar_name)
        self._tell()
        return self.get(id)

    async def _load_part(self, part: image_archive.Part) -> list[LoadedImage]:
        try:
            id = await self._layers.take(part.source)
        except StorageFailure as error:
            raise Invalid(f"the archive cannot be loaded: {error}") from None
        await self._workers.run("reading the image store", self._read)
        names = [parse(name) for name in part.names if "@" not in name]
        self._references.add(id, [str(name) for name in names])
        for text in [name.familiar for name in names] or [""]:
            self.on_event("load", id, text)
        self._tell()
        return [LoadedImage(name.familiar, id) for name in names] or [LoadedImage("", id)]

    # ── the index of stored images ──

    async def _delete(self, image: Image) -> None:
        del self._images[image.id]  # first, so that no container can be made from it any more
        self._references.drop(image.digests)
        try:
            await self._layers.delete(image.id)
        except StorageFailure as error:
            await self._workers.run("reading the image store", self._read)
            raise Conflict(f"image {image.id} cannot be deleted: {error}") from None
        await self._workers.run("deleting its manifests", self._manifests.prune, self._references.registry_digests())

    def _is_name(self, text: str) -> bool:
        try:
            return bool(self._references.named(str(parse(text))))
        except Invalid:
            return False

    def _exact(self, text: str) -> str:
        """The id of an image by its name, digest or whole id; "" when there is none."""
        try:
            wanted = parse(text)
        except Invalid:
            id = image_id(text)
        else:
            by_digest = wanted.digest if wanted.digest in self._images else self._references.named(wanted.canonical)
            id = by_digest if wanted.digest else self._references.named(str(wanted))
        return id if id in self._images else ""

    def _id(self, text: str) -> str:
        if (id := self._exact(text)) or "@" in text:
            return id
        prefix = "sha256:" + text.removeprefix("sha256:")
        matches = [id for id in self._images if id.startswith(prefix)] if len(prefix) > len("sha256:") else []
        return matches[0] if len(matches) == 1 else ""

    def _named(self, image: Image) -> Image:
        return replace(image, names=self._references.names_of(image.id), digests=self._references.digests_of(image.id))

    def _read(self) -> None:
        """Read the store again, except for images that are known already."""
        stored, layers = self._layers.images(), self._layers.layers()
        self._images = {
            id: known
            for id, image in stored.items()
            if (known := self._images.get(id) or self._image(id, image, layers))
        }

    def _keep_manifests(self, id: str) -> None:
        """Store the manifests that a registry sent with an image, for hosts that get the image from here."""
        for manifest in self._layers.manifests(id):
            self._manifests.keep(manifest)

    def _chain(self, digest: str, id: str) -> list[bytes]:
        """The manifests from a registry's digest to the image. Raises NotFound."""
        if not (found := self._manifests.chain(digest, id)):
            self._keep_manifests(id)  # the image was stored by a version that did not store manifests
            found = self._manifests.chain(digest, id)
        if not found:
            raise NotFound(f"this host has the image, and not what shows that it is {digest}")
        return found

    def _image(self, id: str, image: StoredImage, layers: dict[str, StoredLayer]) -> Image | None:
        """The image; None if it cannot be read: it is fetched again when needed."""
        try:
            return image_config.image(id, image_config.read(self._layers.config(id)), self._layers.size(image, layers))
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            log.error("an image on this host cannot be read", image=id, problem=str(error))
            return None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _workspace(self) -> tempfile.TemporaryDirectory[str]:
        make_directory(self._scratch)
        return tempfile.TemporaryDirectory(dir=self._scratch)
