from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bursar.aws.bundle import build_bundle, core_modules
from bursar.aws.wheels import Wheel, prefetch
from bursar.errors import AwsError
from tests.fakes.policies import HOURS, TEXT, planned
from tests.unit.aws.function_modules import MODULES


def wheel(path: Path, *names: str) -> Wheel:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, f"# {name}\n")
    return Wheel(path, data.getvalue())


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    curve = wheel(
        tmp_path / "coincurve-21.0.0-cp311-cp311-any.whl",
        "coincurve/keys.py",
        "coincurve/_libsecp256k1.cpython-311-x86_64-linux-gnu.so",
        "coincurve/py.typed",
        "coincurve-21.0.0.dist-info/licenses/LICENSE-MIT",
        "coincurve-21.0.0.dist-info/RECORD",
    )
    keccak = wheel(
        tmp_path / "pycryptodome-3.24.1-cp37-abi3-any.whl",
        "Crypto/Hash/keccak.py",
        "Crypto/Hash/_keccak.abi3.so",
        "Crypto/Hash/SHA1.py",
        "Crypto/Cipher/AES.py",
        "Crypto/SelfTest/Hash/test_keccak.py",
        "pycryptodome-3.24.1.dist-info/LICENSE.rst",
    )
    return [curve, keccak]


def test_the_function_carries_exactly_these_modules() -> None:
    assert core_modules() == [*MODULES]


def test_of_the_wheels_only_what_is_loaded_and_the_licences_are_carried(
    wheels: list[Wheel],
) -> None:
    carried = {n for n in build_bundle(wheels).names if not n.startswith("bursar/")}
    assert carried == {
        "coincurve/keys.py",
        "coincurve/_libsecp256k1.cpython-311-x86_64-linux-gnu.so",
        "coincurve-21.0.0.dist-info/licenses/LICENSE-MIT",
        "Crypto/Hash/keccak.py",
        "Crypto/Hash/_keccak.abi3.so",
        "pycryptodome-3.24.1.dist-info/LICENSE.rst",
    }


def test_the_same_inputs_give_the_same_bytes_at_another_time_and_place(
    wheels: list[Wheel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_bundle(wheels)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    moved = [Wheel(tmp_path / "elsewhere" / each.path.name, each.data) for each in wheels]
    again = build_bundle(list(reversed(moved)))
    assert again.data == first.data


def test_names_are_sorted_and_times_and_modes_fixed(wheels: list[Wheel]) -> None:
    bundle = build_bundle(wheels)
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(bundle.names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    modes = {entry.external_attr >> 16 for entry in entries if entry.filename.endswith(".py")}
    assert modes == {0o644}


def test_its_hash_is_written_as_hex_and_as_lambda_does(wheels: list[Wheel]) -> None:
    bundle = build_bundle(wheels)
    digest = hashlib.sha256(bundle.data)
    assert bundle.sha256 == digest.hexdigest()
    assert base64.b64decode(bundle.code_sha256) == digest.digest()


def test_two_wheels_with_the_same_file_are_refused(wheels: list[Wheel], tmp_path: Path) -> None:
    twin = wheel(tmp_path / "twin.whl", "Crypto/Hash/keccak.py")
    with pytest.raises(AwsError, match="keccak"):
        build_bundle([*wheels, twin])


def test_a_damaged_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(AwsError, match=r"broken\.whl"):
        build_bundle([Wheel(tmp_path / "broken.whl", b"PK not")])


def test_the_bytes_that_were_verified_are_bundled_and_not_what_the_file_holds_by_now(
    tmp_path: Path,
) -> None:
    verified = wheel(tmp_path / "tiny.whl", "coincurve/keys.py")
    verified.path.write_bytes(wheel(tmp_path / "evil.whl", "coincurve/evil.py").data)
    assert "coincurve/keys.py" in build_bundle([verified]).names


def test_the_carried_modules_need_nothing_of_bursar_beside_themselves(
    wheels: list[Wheel], tmp_path: Path
) -> None:
    """The zip alone is imported, with this environment's own coincurve and pycryptodome behind it."""
    with zipfile.ZipFile(io.BytesIO(build_bundle(wheels).data)) as archive:
        archive.extractall(
            tmp_path / "task", [n for n in archive.namelist() if n.startswith("bursar/")]
        )
    here = str(Path(__file__).parents[3] / "src")
    behind = [path for path in sys.path if path and path != here]
    code = "import bursar.aws.handler as h; print(h.handle({}, None)['statusCode'], h.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path / "task"), *behind])},
    )
    assert done.stdout.splitlines()[-1].startswith(f"400 {tmp_path}")


@pytest.fixture
def zones(tmp_path: Path) -> Wheel:
    return wheel(
        tmp_path / "tzdata-2026.6-py2.py3-none-any.whl",
        "tzdata/__init__.py",
        "tzdata/zoneinfo/__init__.py",
        "tzdata/zoneinfo/Europe/__init__.py",
        "tzdata/zoneinfo/Europe/Berlin",
        "tzdata/zoneinfo/Europe/Paris",
        "tzdata/zoneinfo/Asia/__init__.py",
        "tzdata/zoneinfo/UTC",
        "tzdata-2026.6.dist-info/licenses/LICENSE",
        "tzdata-2026.6.dist-info/licenses/licenses/LICENSE_APACHE",
        "tzdata-2026.6.dist-info/RECORD",
    )


def test_a_policy_lies_at_the_root_as_it_was_written_and_is_part_of_the_hash(
    wheels: list[Wheel],
) -> None:
    bundle = build_bundle(wheels, planned())
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        assert archive.read("policy.toml").decode() == TEXT
    again, other = build_bundle(wheels, planned()), build_bundle(wheels, planned("# \n" + TEXT))
    assert bundle.code_sha256 == again.code_sha256
    assert len({each.code_sha256 for each in (bundle, other, build_bundle(wheels))}) == 3


def test_a_policy_with_hours_brings_its_time_zone_and_no_other_policy_does(
    wheels: list[Wheel], zones: Wheel
) -> None:
    with_hours = build_bundle([*wheels, zones], planned(HOURS))
    brought = {name for name in with_hours.names if name.startswith("tzdata")}
    assert brought == {
        "tzdata/__init__.py",
        "tzdata/zoneinfo/__init__.py",
        "tzdata/zoneinfo/Europe/__init__.py",
        "tzdata/zoneinfo/Europe/Berlin",
        "tzdata-2026.6.dist-info/licenses/LICENSE",
        "tzdata-2026.6.dist-info/licenses/licenses/LICENSE_APACHE",
    }
    for without in (build_bundle([*wheels, zones], planned()), build_bundle([*wheels, zones])):
        assert not [name for name in without.names if name.startswith("tzdata")]


def test_a_time_zone_that_the_packages_lack_is_refused(wheels: list[Wheel], zones: Wheel) -> None:
    elsewhere = planned(HOURS.replace("Europe/Berlin", "Europe/Rome"))
    with pytest.raises(AwsError, match="no time zone Europe/Rome"):
        build_bundle([*wheels, zones], elsewhere)


def test_python_finds_the_zone_in_the_zip_where_the_machine_has_none(tmp_path: Path) -> None:
    bundle = build_bundle(prefetch(), planned(HOURS))
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        archive.extractall(tmp_path)
    probe = "from zoneinfo import ZoneInfo; import tzdata; print(tzdata.__file__, ZoneInfo('Europe/Berlin'))"
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", probe],
        env={"PYTHONPATH": str(tmp_path), "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/tzdata/__init__.py Europe/Berlin\n"
