"""The allocator: a pure planner that gives out subnets, VNIs, addresses and published ports."""

__all__ = ["allocation_index", "allocation_round", "allocator", "memory"]
