"""Values that hold where a spec says nothing. Source: swarmkit api/defaults/service.go.

Docker's specs have durations in nanoseconds, and so have the defaults of their fields (`… * SECOND`). Everybody else
has seconds, which the specs' properties give.
"""

SECOND = 1_000_000_000

REPLICAS = 1
STOP_GRACE_PERIOD = 10 * SECOND
RESTART_DELAY = 5 * SECOND
UPDATE_PARALLELISM = 1
UPDATE_MONITOR = 5 * SECOND
REVISION_HISTORY = 10
PROGRESS_DEADLINE = 600 * SECOND
"""Without one more slot done, an update counts as failed after this."""
RUN_HISTORY = 10
"""Runs of a scheduled job kept in its history."""
RUN_ATTEMPTS = 6
"""Restarts after which a slot of a scheduled job's run has failed, where its restart policy says no MaxAttempts.
Source: backoffLimit of a Kubernetes Job."""
RUN_LATENESS = 60.0
"""Seconds: a run of a scheduled job that is not later than this is started even though the next one is due."""
REBALANCE_CALM = 10.0
"""Seconds for which a node must have been ready before tasks move to it."""
REBALANCE_PATIENCE = 60.0
"""Seconds that a task that is to move has to get a place on the other node."""
REBALANCE_PAUSE = 300.0
"""Seconds without moves of a service's tasks after one that failed."""
HEARTBEAT = 0.7
"""Seconds between an agent's heartbeats."""
SILENCE = 1.1
"""Seconds without a heartbeat after which a manager asks the host itself whether it is there."""
PROBE_TIMEOUT = 0.8
"""Seconds without any answer of its host after which a node is suspected: new connections go elsewhere."""
PROBE_PAUSE = 0.5
"""Seconds between two such questions."""
MANAGER_TIMEOUT = 1.0
"""Seconds without any answer of its manager's host after which an agent goes to another manager."""
LOST_AFTER = 1.5
"""Seconds for which a node must have been suspected to be down: its tasks run elsewhere."""
SESSION_LEASE = 6.0
"""Seconds without a heartbeat after which a node is down although its host answers."""
RECONNECT_TIME = 10.0
"""Seconds that a new leader gives the agents to open their sessions anew before it calls a node down."""
LEADER_LEASE = 3.0
"""Seconds after which a dead leader is replaced."""
ADDRESS_POOL = "10.0.0.0/8"
SUBNET_LENGTH = 24
INGRESS_SUBNET = "10.255.0.0/16"
LOCAL_SUBNET = "172.31.240.0/20"
"""Of each host's own network; the same on all hosts, it never leaves one."""
AUTO_PORTS = (30000, 32767)
MANAGER_PORT = 2377
HOST_PORT = 7946
VXLAN_PORT = 4789
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
FIRST_VNI = 4097
ORPHAN_TIMEOUT = 24 * 3600.0
"""Seconds after which the tasks of a node that stays down are given up for lost."""
BLOCKED_PAUSE = 10.0
"""Seconds until it is looked at again whether a task that waits is kept from its place by the one it replaces."""
STOP_TIMEOUT = 60.0
"""Seconds beyond its grace period after which a stopping task is no longer waited for."""
RESTART_BURST = 5
"""Restarts of a slot within RESTART_CALM seconds after which each further one waits twice as long."""
RESTART_CALM = 300.0
RESTART_BACKOFF = 60.0
"""Seconds: the longest wait that backing off leads to."""
FAULTY_FAILURES = 5
"""Failures of a service on a node within FAULTY_WINDOW seconds that make other nodes preferred."""
FAULTY_WINDOW = 300.0
DRAIN_LIMIT = 5.0
"""Seconds that a task which is to stop waits for the hosts to confirm that they send it nothing new.
Swarm waits 2, whatever the hosts do."""
LINGER = 0.2
"""Seconds that it goes on after that, for connections that were under way."""
NAME_TTL = 2
"""Seconds that a client may remember an answer of a container's name server."""

USER_AGENT = "argosy"
"""How our own command line names itself over HTTP, with or without "/VERSION" behind it."""
VERDICT_PATIENCE = 10.0
"""Seconds that a task may find no node, address or port before its service counts as stuck."""
