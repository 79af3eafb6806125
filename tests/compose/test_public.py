"""Files like the most copied public ones: each loads to a stack that `stack plan` can show.

They were written for this test. REFUSED names those that ask for something a cluster cannot do, with the beginning of
the error text. Files they read exist with the content `A=1`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from api.errors import Invalid
from compose.deploy.deploy_plan import DeploySnapshot, plan_deploy
from compose.load import LoadedProject, load
from compose.translate.compose_file import as_yaml

PUBLIC = Path(__file__).parents[1] / "golden" / "public"
ENVIRONMENT = {"HOME": "/home/u", "DB_PASSWORD": "pw", "AWS_SECRET": "aws", "TZ": "UTC"}
REFUSED = {
    "macvlan": "networks.lan.driver: must be overlay, bridge or default",
    "syslog-logging": "services.web.logging: 'syslog' is not supported",
    "vpn-sidecar": "services.client.network_mode: 'service:vpn' is refused",
}


def loaded(text: str) -> LoadedProject:
    def read(path: str) -> bytes | None:
        if path == "-":
            return text.encode()
        return None if path == "/project/.env" else b"A=1\n"

    return load(["-"], ENVIRONMENT, "shop", "/project", read, current="/project")


@pytest.mark.parametrize("file", sorted(PUBLIC.glob("*.yml")), ids=lambda path: path.stem)
def test_a_public_file_loads_and_is_planned_or_refused_with_a_reason(file: Path) -> None:
    if file.stem in REFUSED:
        with pytest.raises(Invalid) as error:
            loaded(file.read_text())
        assert REFUSED[file.stem] in str(error.value)
        return
    found = loaded(file.read_text())
    external = (*found.stack.external_networks, *found.stack.external_secrets, *found.stack.external_configs)
    if not external:
        lines = plan_deploy(found.stack, DeploySnapshot()).lines()
        assert all(any(f"service {item.spec.name}" in line for line in lines) for item in found.stack.services)
    assert loaded(as_yaml(found.project)).stack == found.stack
