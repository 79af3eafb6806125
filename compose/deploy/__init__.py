"""A stack compared with what the cluster has: what a deploy will do. Pure; cli/deploy carries it out."""

__all__ = ["deploy_plan", "plan_files", "plan_networks", "plan_ports"]
