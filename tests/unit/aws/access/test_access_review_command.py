from __future__ import annotations

import pytest

from bursar.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "{folder}/report.pdf"], "ends in neither .md nor .html"),
        (["--report", "{folder}/there.md"], "there already"),
        (["--save", "{folder}/there.md"], "there already"),
        (["--diff", "{folder}/gone.json"], "cannot be read"),
        (["--diff", "{folder}/there.md"], "is not a saved review"),
    ],
)
def test_files_that_cannot_be_used_are_refused_before_aws_is_asked(
    arguments, said, tmp_path, capsys
):
    (tmp_path / "there.md").write_text("kept")
    given = [each.format(folder=tmp_path) for each in arguments]
    assert run(["aws", "access-review", *given]) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "there.md").read_text() == "kept"
