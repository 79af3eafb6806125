"""What one host runs: roles, certificates, the local socket."""
