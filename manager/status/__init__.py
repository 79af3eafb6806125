"""What the state says to people: verdicts, reasons, histories, events. Pure."""
