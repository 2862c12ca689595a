"""What each chain asks of a signing key. Pure: no network, no clock, no file."""
