"""The cluster part of the Docker Engine API."""

from manager.http.node_views import swarm_block
from manager.http.routes import routes

__all__ = ["routes", "swarm_block"]
