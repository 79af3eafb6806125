"""One service, slot by slot: what each slot holds and what a pass does about it. Pure."""
