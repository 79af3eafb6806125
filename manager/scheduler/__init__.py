"""Pure planner that decides which node runs a task."""
