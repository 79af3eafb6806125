"""Pure planner that decides which node runs a task."""

__all__ = ["filters", "memory", "node_load", "node_set", "scheduler", "service_spread", "task_group", "unschedulable"]
