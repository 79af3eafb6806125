"""The daemon of one host, argosyd: its settings, its membership of a cluster, and its HTTP API."""

import os

# grpc's core writes each failed connection to stderr, past our loggers: anyone who can reach the port could fill the
# log. Errors that matter are raised. (Read once, when grpc is loaded; set the variable to see more.)
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
