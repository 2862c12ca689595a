"""The signing function's zip: bursar's core modules the handler imports, and the compiled packages under them.

With a policy, its file, and where that has opening hours their time zone's data: Lambda's image may have none.

The same inputs give the same bytes, wherever and whenever they are built: names sorted, times and modes fixed. So
the hash of the zip says whether a deployed function is this code.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bursar.aws.environment import HANDLER_MODULE, POLICY_FILE
from bursar.aws.policy_plan import PolicyPlan
from bursar.aws.wheels import Wheel
from bursar.errors import AwsError

# The files that `from Crypto.Hash import keccak` loads, of the 500 in pycryptodome; everything of coincurve.
_WANTED = re.compile(
    r"\A(?:coincurve/[\w.-]+\.(?:py|so)"
    r"|Crypto/(?:Hash/|Util/)?__init__\.py"
    r"|Crypto/Hash/(?:keccak\.py|_keccak[\w.-]*\.so)"
    r"|Crypto/Util/(?:_raw_api|py3compat|_file_system)\.py"
    r"|[\w.-]+\.dist-info/(?:licenses/){0,2}(?:LICEN[CS]E|NOTICE|AUTHORS)[\w.-]*)\Z"
)
_ZONES = "tzdata/zoneinfo"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A function's zip: its bytes and the names in it, sorted."""

    data: bytes
    names: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The hash of the zip: 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def code_sha256(self) -> str:
        """The same hash as Lambda writes it (`CodeSha256`): base64."""
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


def build_bundle(wheels: Sequence[Wheel], policy: PolicyPlan | None = None) -> Bundle:
    """Return the zip of the handler, its modules, its policy and what it needs of the wheels.

    Raises:
        AwsError: a wheel cannot be read, two hold the same file, or none has the policy's time zone.
    """
    files = _own_files()
    if policy is not None:
        files[POLICY_FILE] = policy.text.encode("utf-8")
    zone = policy.zone if policy else None
    wanted = _WANTED if zone is None else re.compile(f"{_WANTED.pattern}|{_zone_files(zone)}")
    for wheel in wheels:
        if _is_zones(wheel) and zone is None:
            continue
        for name, data in _wheel_files(wheel, wanted):
            if name in files:
                raise AwsError(f"{wheel.path.name} brings {name}, which is there already")
            files[name] = data
    if zone is not None and f"{_ZONES}/{zone}" not in files:
        raise AwsError(
            f"the function's packages have no time zone {zone}",
            hint="another name of it in the policy's [hours]",
        )
    return Bundle(_zip(files), tuple(sorted(files)))


def core_modules() -> list[str]:
    """Return the bursar modules the handler needs, found by following imports without running them."""
    found: set[str] = set()
    queue = [HANDLER_MODULE]
    while queue:
        module = queue.pop()
        if module not in found:
            found.add(module)
            queue += [package for package in _parents(module) if package not in found]
            queue += _imports(module)
    return sorted(found)


def _own_files() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for module in core_modules():
        path = _source(module)
        name = module.replace(".", "/")
        name += "/__init__.py" if path.name == "__init__.py" else ".py"
        files[name] = path.read_bytes()
    return files


def _source(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise AwsError(f"{module} has no source file", hint="install bursar as files, not zipped")
    return Path(spec.origin)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _imports(module: str) -> list[str]:
    tree = ast.parse(_source(module).read_bytes())
    return [name for node in _run_time(tree) for name in _imported(node)]


def _run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a module's nodes, but not what only a type checker reads, nor a package's names bound on demand."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef) and child.name == "__getattr__":
            continue
        yield child
        yield from _run_time(child)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.startswith("bursar.")]
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return []
    if node.module.split(".")[0] != "bursar":
        return []
    # A name may be a module of the package or something in it.
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [node.module, *(name for name in names if _is_module(node.module, name))]


def _is_module(package: str, name: str) -> bool:
    folder = _source(package)
    leaf = name.rpartition(".")[2]
    inside = folder.parent / leaf
    return folder.name == "__init__.py" and (
        inside.with_suffix(".py").is_file() or (inside / "__init__.py").is_file()
    )


def _is_zones(wheel: Wheel) -> bool:
    return wheel.path.name.startswith("tzdata-")


def _zone_files(zone: str) -> str:
    """Return the pattern of the files that `zoneinfo` finds a zone by, in the package `tzdata`."""
    parts = zone.split("/")[:-1]
    folders = ["tzdata", *("/".join([_ZONES, *parts[:end]]) for end in range(len(parts) + 1))]
    names = [*(f"{folder}/__init__.py" for folder in folders), f"{_ZONES}/{zone}"]
    return rf"\A(?:{'|'.join(map(re.escape, names))})\Z"


def _wheel_files(wheel: Wheel, wanted: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
            for name in sorted(archive.namelist()):
                if wanted.match(name):
                    yield name, archive.read(name)
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        # The last is zipfile's for a compression or an encryption it does not know.
        raise AwsError(
            f"{wheel.path} cannot be read", hint="delete it and run the command again"
        ) from None


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, on every machine, so that the modes below count
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=9)
    return buffer.getvalue()
