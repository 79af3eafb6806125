"""What somebody has who was root on a manager and copied its files: every call its credentials were good for."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from aetcd import rpc as etcd
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from api.codec import decode, encode
from api.objects.observed import NodeDescription
from api.objects.wanted import Cluster
from api.states import Role
from api.wire.host_messages import EXPORT_METHOD, LOGS_METHOD, ExportRequest, LogLine, LogsRequest
from api.wire.session_messages import SESSION_METHOD, Hello, ManagerMessage
from manager.security import ca

TIMEOUT = 20.0


class Stolen:
    """A node's certificate and key."""

    def __init__(self, node: Path, copy: Path) -> None:
        """`node` is the node directory of a host."""
        shutil.copytree(node, copy)
        self.certificate, self.key, self.authority = (copy / f"{name}.pem" for name in ("cert", "key", "ca"))
        leaf = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        self.node_id = str(leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)

    def signing_request(self) -> str:
        """For its own key (PEM)."""
        key = load_pem_private_key(self.key.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        return request.public_bytes(Encoding.PEM).decode()

    def forged(self, cluster: Cluster, node_id: str, copy: Path) -> Stolen:
        """A certificate in the name of a manager, signed with the CA's key, for a key of one's own."""
        subject = ca.Subject(node_id, Role.MANAGER, cluster.id)
        authority, key = ca.CertificateAuthority(cluster.ca_certificate.encode(), cluster.ca_key.encode()), ca.new_key()
        made = Stolen(self.authority.parent, copy)
        now = time.time()  # noqa: TID251 - TLS compares with the machine's clock
        made.certificate.write_bytes(ca.sign(authority, ca.signing_request(key), subject, now, 3600.0))
        made.key.write_bytes(key)
        return made

    # ── HTTPS ────────────────────────────────────────────────────────────────────────────────────────────────────

    def https(self, host: str) -> http.client.HTTPSConnection:
        """An open connection to a manager's port."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        connection = http.client.HTTPSConnection(host, 2377, timeout=TIMEOUT)
        plain = socket.create_connection((host, 2377), TIMEOUT)
        connection.sock = context.wrap_socket(plain, server_hostname="swarm-manager")
        return connection

    def ask(self, host: str, method: str, path: str, body: object = None) -> tuple[int, str]:
        """One request: its code and what was answered."""
        return ask(self.https(host), method, path, body)

    # ── gRPC ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def channel(self, address: str, name: str) -> Iterator[Any]:
        """A gRPC channel that insists on the name."""
        credentials = grpc.ssl_channel_credentials(
            self.authority.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )
        options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(address, credentials, options) as channel:
            yield channel

    def logs(self, host: str, node_id: str) -> grpc.StatusCode:
        """How another host answers to a request for a container's log."""
        with self.channel(f"{host}:7946", node_id) as channel:
            call = channel.unary_stream(LOGS_METHOD, encode, partial(decode, LogLine))
            return _code(call(LogsRequest("none"), timeout=TIMEOUT))

    def export(self, host: str, node_id: str, reference: str) -> grpc.StatusCode:
        """How another host answers to a request for an image."""
        with self.channel(f"{host}:7946", node_id) as channel:
            call = channel.unary_stream(EXPORT_METHOD, encode, bytes)
            return _code(call(ExportRequest(reference), timeout=TIMEOUT))

    def session(self, host: str) -> grpc.StatusCode:
        """How a manager answers to an agent's session."""
        with self.channel(f"{host}:7946", "swarm-manager") as channel:
            call = channel.stream_stream(SESSION_METHOD, encode, partial(decode, ManagerMessage))
            return _code(call(iter([Hello(NodeDescription())]), timeout=TIMEOUT))

    # ── etcd ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def etcdctl(self, host: str, *arguments: str) -> tuple[int, str]:
        """etcd's own client: its exit code and what it printed."""
        files = [f"--cert={self.certificate}", f"--key={self.key}", f"--cacert={self.authority}"]
        command = [
            "etcdctl",
            f"--endpoints=https://{host}:2379",
            "--command-timeout=2s",
            "--dial-timeout=2s",
            *files,
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"ETCDCTL_API": "3"})
        return done.returncode, done.stdout + done.stderr

    def raft(self, host: str) -> int:
        """curl's exit code for a request to etcd's port for its peers."""
        files = ["--cert", self.certificate, "--key", self.key, "--cacert", self.authority]
        command = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "--http1.1",
            "--max-time",
            "5",
            *files,
            f"https://{host}:2380/members",
        ]
        return subprocess.run(command, check=False).returncode


class OpenEtcd:
    """A connection to etcd that is open, with the cluster's whole state watched over it."""

    def __init__(self, stolen: Stolen, host: str) -> None:
        self._channels = stolen.channel(f"{host}:2379", "swarm-manager")
        self._kv = etcd.KVStub(channel := self._channels.__enter__())
        create = etcd.WatchCreateRequest(key=b"/argosy/", range_end=b"/argosy0")
        self.watch = etcd.WatchStub(channel).Watch(_open([etcd.WatchRequest(create_request=create)]), timeout=600)
        next(self.watch)

    def put(self) -> bool:
        """Whether it still writes."""
        try:
            self._kv.Put(etcd.PutRequest(key=b"/argosy-attack", value=b"x"), timeout=5)
        except grpc.RpcError:
            return False
        return True

    def watches(self) -> bool:
        """Whether it still tells what is written."""
        try:
            while True:  # what was told before has been buffered
                next(self.watch)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[no-any-return]

    def close(self) -> None:
        """End it."""
        self._channels.__exit__(None, None, None)


def ask(connection: http.client.HTTPSConnection, method: str, path: str, body: object = None) -> tuple[int, str]:
    """A request on an open connection; 0 when there is none any more."""
    data = json.dumps(body).encode() if body is not None else None
    try:
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def has_ended(stream: http.client.HTTPResponse, secret: bytes) -> bool:
    """Whether a stream ends, without having told the secret."""
    told = b""
    try:
        while more := stream.read1():
            told += more
            if secret in told:
                return False
    except TimeoutError:
        return False
    except (OSError, http.client.HTTPException):
        return True
    return True


def _open(requests: list[Any]) -> Iterator[Any]:
    """The requests, and then nothing more until the call ends."""
    yield from requests
    threading.Event().wait(600)


def _code(call: Any) -> grpc.StatusCode:
    """OK for a first answer, else why there is none."""
    try:
        next(iter(call))
    except grpc.RpcError as error:
        return error.code()  # type: ignore[no-any-return]  # a call is its own error
    except StopIteration:
        pass
    finally:
        call.cancel()
    return grpc.StatusCode.OK
