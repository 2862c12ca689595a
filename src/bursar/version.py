"""The version, on its own so that any room may read it."""

VERSION = "0.1.0"
