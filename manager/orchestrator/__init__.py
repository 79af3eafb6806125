"""Pure planners that decide which tasks a service should have."""
