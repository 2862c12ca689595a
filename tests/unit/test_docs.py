"""The documentation says what the program does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/reference/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "errors.md"])
def test_the_reference_is_what_the_code_says(name):
    """Run `make docs` when this fails."""
    written = (ROOT / "docs/reference" / name).read_text()
    assert written == generator().PAGES[name]()


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_every_link_between_pages_leads_somewhere(page):
    for target, _ in LINK.findall(page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_is_documented():
    from bursar.cli.config import Config

    page = (ROOT / "docs/reference/settings.md").read_text()
    for section, field in Config.model_fields.items():
        for name in getattr(field.annotation, "model_fields", {}):
            assert f"BURSAR_{section}_{name}".upper() in page, f"{section}.{name}"


def test_every_code_of_a_verification_is_documented():
    from bursar.ledger.findings import Fault, Remark

    page = (ROOT / "docs/reference/ledger.md").read_text()
    for code in (*Fault, *Remark):
        assert f"`{code.value}`" in page, code


def test_every_make_target_the_docs_name_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


def test_the_tutorials_commands_exist(capsys):
    from bursar.cli.main import run

    text = (ROOT / "docs/tutorial.md").read_text() + (ROOT / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"^bursar ((?:[a-z][a-z-]* ?){1,2})", blocks, re.MULTILINE))
    assert len(named) > 8
    for words in named:
        assert run([*words.split(), "--help"]) == 0, words
    capsys.readouterr()


def test_nothing_committed_names_this_machine_or_a_registry():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    foreign = re.compile(
        r"https?://(registry\.npmjs\.org|pypi\.org|files\.pythonhosted\.org)|/[r]oot/"
    )
    for name in files:
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        assert not foreign.search(path.read_text(errors="replace")), name
