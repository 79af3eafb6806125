"""How many tasks there are to be, and which: scaling, repair, job runs, removal. Pure."""

__all__ = ["job_runs", "repair", "scaling", "task_reaper"]
