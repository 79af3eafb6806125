"""Fields of the Engine API that Argosy's schema lacks, with the reason: a request that has one is refused by name.

Fields that the schema has but Argosy cannot honour are in api/service/unsupported.py.
"""

from __future__ import annotations

from typing import Final

_WINDOWS: Final = "credential specs are for Windows containers"

LACKING: Final = {
    "ClusterOptions": "cluster volumes (CSI) are not supported by Argosy",
    "ClusterVolumeSpec": "cluster volumes (CSI) are not supported by Argosy; a local volume can be NFS (type=nfs)",
    "CredentialSpec": f"{_WINDOWS}, which are not supported by Argosy",
    "ImageOptions": "mounts of images are not supported by Argosy",
    "MemorySwappiness": "not supported by Argosy here; ContainerSpec.HostConfig.MemorySwappiness is",
    "NetworkAttachmentSpec": "single containers are not supported by Argosy; a service of one replica is",
    "PluginSpec": "plugins are not supported by Argosy",
    "Runtime": f"not supported by Argosy: {_WINDOWS}",
    "SwapBytes": "not supported by Argosy here; ContainerSpec.HostConfig.MemorySwap (memory and swap) is",
}
"""Name of the field → the text that follows its path in the error."""
