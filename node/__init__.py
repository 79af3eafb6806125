"""What one host runs: roles, certificates, the local socket."""

import os

# grpc's core writes to stderr about each connection that goes wrong, past every logger of ours: whoever reaches the
# port could fill the log. What concerns us is raised as an error. (Read once, when grpc is loaded; set it to see more.)
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
