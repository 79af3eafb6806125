"""Pure planner that gives out subnets, VNIs, addresses and published ports."""
