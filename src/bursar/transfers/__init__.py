"""From what somebody asked for to a payment that landed."""
