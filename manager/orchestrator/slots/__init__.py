"""One service, slot by slot: what each slot holds and what a pass does about it. Pure."""

__all__ = ["node_eligibility", "restart", "service_pass", "slot_queue", "slots", "update_tally"]
