"""Install what the sandbox is made of, once, and say where it is.

Everything is pinned: ministack and Node by hashed requirements, anvil by npm's lock file, the two contract
packages by the sha512 of their archives. Nothing of theirs is shipped with bursar.
"""

from __future__ import annotations

from bursar.sandbox.setup.install import install
from bursar.sandbox.setup.tools import Node, Tools, tools

__all__ = ["Node", "Tools", "install", "tools"]
