"""The root of the AWS accounts that tests start by themselves."""

from __future__ import annotations

from bursar.sandbox.aws import RootKey

ROOT = RootKey.new()
