"""Renewal of this node's certificate.

At a random point between half and four fifths of its lifetime (as Swarm does), and at once when the node gets another
role or a manager's address is not in its certificate.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from api.errors import ArgosyError
from api.states import Role
from api.wire.rpc import Credentials
from kit.ip import join_host_port
from kit.timing import Clock, backoff
from manager.security import ca
from node.membership.advertise_address import host_port
from node.membership.entry import certificate_addresses
from node.membership.identity import Identity, IdentityFiles
from node.membership.join_client import ManagerClient
from node.membership.membership import HostMembership

log = structlog.get_logger(__name__)

LONGEST_SLEEP = 3600.0
"""Seconds. The clock may be set, and laptops sleep, so a longer sleep could end too late."""


class Renewal:
    """Renews the certificate for as long as argosyd runs."""

    def __init__(self, swarm: HostMembership, files: IdentityFiles, clock: Clock, rng: random.Random) -> None:
        self._swarm = swarm
        self._files = files
        self._clock = clock
        self._rng = rng
        self._fraction = rng.uniform(0.5, 0.8)

    async def run(self) -> None:
        """Renew whenever due; never returns."""
        delays = backoff(self._rng, first=1.0, most=60.0)
        while True:
            identity = self._swarm.identity
            if identity is not None and self._due(identity):
                try:
                    await self._swarm.renewed(await self._renew(identity))
                    delays = backoff(self._rng, first=1.0, most=60.0)
                except ArgosyError as error:
                    log.warning("the certificate could not be renewed", reason=str(error))
                    await self._sleep(next(delays))
                    continue
            await self._sleep(self._pause())

    def _due(self, identity: Identity) -> bool:
        if self._swarm.wanted_role not in (None, identity.role):
            return True
        subject = ca.subject_of(identity.credentials.certificate)
        if subject.role is Role.MANAGER and identity.membership.address not in subject.addresses:
            return True
        return self._clock() >= ca.renew_at(identity.credentials.certificate, self._fraction)

    def _pause(self) -> float:
        identity = self._swarm.identity
        if identity is None:
            return LONGEST_SLEEP
        return min(
            max(ca.renew_at(identity.credentials.certificate, self._fraction) - self._clock(), 1.0), LONGEST_SLEEP
        )

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._swarm.nudged.wait()
        except TimeoutError:
            pass
        self._swarm.nudged.clear()

    async def _renew(self, identity: Identity) -> Identity:
        """A renewed identity from any manager. Raises Forbidden (the node was removed), Unavailable."""
        membership = identity.membership
        csr = ca.signing_request(identity.credentials.key, certificate_addresses(membership.address))
        own = join_host_port(membership.address, host_port(membership.listen_addr, 2377)[1])
        addresses = [*([own] if self._swarm.context is not None else []), *membership.apis]
        answer = await ManagerClient(addresses, self._files).renew(csr)
        credentials = Credentials(answer.certificate.encode(), identity.credentials.key, answer.ca_certificate.encode())
        return Identity(membership, credentials)
