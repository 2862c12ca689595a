from __future__ import annotations

import stat

import pytest

from bursar.errors import ConfigError
from bursar.payouts.writing import write_csv, write_page, write_text
from tests.unit.payouts.payday import plan_of, report_of

REPORT = report_of(plan_of(3, "Grüße"))


def test_the_report_is_written_for_its_owner_alone(tmp_path):
    write_csv(REPORT, tmp_path / "a.csv")
    write_page(REPORT, tmp_path / "a.html")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfline,id,")
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        write_csv(REPORT, path)
    assert path.read_text() == "mine"
    write_csv(REPORT, path, replace=True)
    assert "p-1" in path.read_text(encoding="utf-8")


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "a.csv"):
        with pytest.raises(ConfigError, match="cannot be written"):
            write_csv(REPORT, path, replace=True)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_half_a_character_is_no_obstacle(tmp_path):
    write_text("a\ud800b", tmp_path / "a")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "a?b"
