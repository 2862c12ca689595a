from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.audit import exported
from bursar.cli.main import run
from bursar.cli.shell import Shell
from bursar.errors import ConfigError, LedgerUnavailable, PolicyViolation
from bursar.ledger.book import Book
from bursar.ledger.receipts import Event, Head, canonical, following
from bursar.signing_contract import Caller
from tests.unit.signing.scene import CALLER, KEY, Desk

EXAMPLE = Path(__file__).parents[3] / "docs/examples/verify_receipts.py"


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    for request in desk.payments(3):
        desk.treasury.sign(request, CALLER)
    return desk


@pytest.fixture
def export(desk: Desk, tmp_path: Path) -> Path:
    file = tmp_path / "receipts.jsonl"
    file.write_text("".join(f"{line}\n" for line in Book(desk.store, KEY).receipts()))
    return file


def verify(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = run(["audit", "verify", *words])
    return status, capsys.readouterr().out


def test_a_whole_export_is_sound_and_says_what_is_in_it(capsys, export, desk):
    status, out = verify(capsys, str(export))
    assert status == 0
    assert "6 receipts: 3 allowed" in out
    assert f"every signature by {desk.kms.address} is accounted for" in out


def test_another_accounts_signatures_are_not_ours(capsys, export):
    status, out = verify(capsys, str(export), "--address", "0x" + "11" * 20)
    assert status == 4
    assert "other_address" in out
    assert "access-review" in out


def test_an_export_that_was_cut_short_is_found_by_a_remembered_head(capsys, export, desk):
    lines = export.read_text().splitlines()
    export.write_text("\n".join(lines[:-2]))
    assert verify(capsys, str(export))[0] == 0
    head = str(Book(desk.store, KEY).head())
    status, out = verify(capsys, str(export), "--head", head)
    assert (status, "head_missing" in out) == (4, True)


def test_a_part_of_the_ledger_is_checked_after_the_head_before_it(capsys, export):
    lines = export.read_text().splitlines()
    export.write_text("\n".join(lines[2:]))
    before = json.loads(lines[1])
    status, out = verify(capsys, str(export))
    assert (status, "1 to 2 are missing" in out, "--after" in out) == (4, True, True)
    assert verify(capsys, str(export), "--after", f"2:{before['hash']}")[0] == 0
    assert verify(capsys, str(export), "--after", f"2:{'0' * 64}")[0] == 4
    assert run(["audit", "verify", "--after", f"2:{before['hash']}"]) == 2
    assert "for a file" in capsys.readouterr().err


def test_an_unknown_outcome_and_a_signature_nobody_allowed_have_a_next_step(capsys, export):
    lines = export.read_text().splitlines()
    export.write_text("\n".join(lines[:5]))
    status, out = verify(capsys, str(export))
    assert (status, "outcome_unknown" in out, "bursar aws audit" in out) == (0, True, True)
    export.write_text("\n".join([*lines[:4], lines[5]]))
    status, out = verify(capsys, str(export))
    assert (status, "no_decision" in out, "disable the key" in out) == (4, True, True)


def test_an_export_says_where_it_ends_and_is_checked_as_it_is(capsys, desk, tmp_path):
    book, file = Book(desk.store, KEY), tmp_path / "receipts.jsonl"
    exported(Shell(json=True), book, 1, file)
    said = json.loads(capsys.readouterr().out)
    assert said == {"file": str(file), "receipts": 6, "head": str(book.head())}
    assert verify(capsys, str(file), "--head", said["head"])[0] == 0
    exported(Shell(), book, 5, Path("-"))
    out, err = capsys.readouterr()
    assert out.splitlines() == file.read_text().splitlines()[4:]
    assert err == f"2 receipts, head {book.head()}\n"


def test_an_export_never_writes_over_a_file_and_never_leaves_half_of_one(desk, tmp_path):
    class Failing(Book):
        def receipts(self, first: int = 1) -> Iterator[str]:
            yield next(super().receipts(first))
            raise LedgerUnavailable("the table is gone")

    file = tmp_path / "receipts.jsonl"
    with pytest.raises(LedgerUnavailable):
        exported(Shell(), Failing(desk.store, KEY), 1, file)
    assert not file.exists()
    file.write_text("kept")
    with pytest.raises(ConfigError, match="FileExistsError"):
        exported(Shell(), Book(desk.store, KEY), 1, file)
    assert file.read_text() == "kept"


@pytest.mark.parametrize("head", ["", "6", "6:", "0:" + "0" * 64, "x:" + "0" * 64])
def test_a_head_that_is_none_is_refused(capsys, export, head):
    assert run(["audit", "verify", str(export), "--head", head]) == 2
    assert "NUMBER:HASH" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\n", b"{}\n", b"null\n", b"[" * 5000 + b"\n"])
def test_a_file_that_is_no_export_is_told_and_never_a_crash(capsys, tmp_path, data):
    file = tmp_path / "odd"
    file.write_bytes(data)
    status, _ = verify(capsys, str(file))
    assert status == (0 if not data else 2)


def test_the_example_finds_what_the_command_finds(export):
    def example(text: str) -> tuple[int, str]:
        ran = subprocess.run(
            [sys.executable, str(EXAMPLE)], input=text, capture_output=True, text=True, check=False
        )
        return ran.returncode, ran.stdout + ran.stderr

    lines = export.read_text().splitlines()
    last = json.loads(lines[-1])
    assert example(export.read_text()) == (0, f"6 receipts, head 6:{last['hash']}\n")
    assert example("\n".join([lines[0].replace("allowed", "refused"), *lines[1:]]))[0] == 1
    assert "receipt 2 is missing" in example("\n".join([lines[0], *lines[2:]]))[1]


def test_the_receipts_are_listed_for_people_with_who_what_and_why(capsys, desk, tmp_path):
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(
            desk.payments(4)[3], Caller("arn:aws:iam::111122223333:user/mallory", "api")
        )
    file = tmp_path / "receipts.jsonl"
    file.write_text("".join(f"{line}\n" for line in Book(desk.store, KEY).receipts()))
    assert run(["audit", "list", str(file), "--since", "2026-01-01"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["receipt", "at", "what", "by", "because", "about"]
    assert len(rows) == 7
    for text in ("allowed", "role/payroll", "pay 0.2 usdc"):
        assert text in rows[0]
    assert "receipt 1, KMS kms-1" in rows[1]
    for text in ("refused", "user/mallory", "callers.allow"):
        assert text in rows[6]
    assert run(["audit", "list", str(file), "--since", "2030-01-01"]) == 0
    assert "nothing since" in capsys.readouterr().out


def test_a_receipt_of_any_body_is_listed(capsys, tmp_path):
    bodies: list[dict[str, Any]] = [
        {},
        {"review": 7, "caller": [], "refusal": {"rule": 1}, "decision": "x"},
    ]
    head, lines = Head(), []
    for body in bodies:
        made = following(head, "b", datetime(2026, 11, 24, tzinfo=UTC), Event.DECISION, body)
        head = made.head
        lines.append(canonical(made.to_dict()))
    file = tmp_path / "odd.jsonl"
    file.write_text("\n".join(lines))
    assert run(["audit", "list", str(file), "--since", "2026-01-01"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
