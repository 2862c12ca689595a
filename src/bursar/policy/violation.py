"""The refusal a policy makes. Pure."""

from __future__ import annotations

from bursar.errors import PolicyViolation as PolicyViolation
