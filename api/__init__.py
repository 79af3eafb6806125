"""The vocabulary: specs, objects, states, errors and the messages between hosts. Imports nothing of ours but kit."""
