"""The review's own refusal. Pure."""

from __future__ import annotations

from bursar.errors import Unverifiable as Unverifiable
