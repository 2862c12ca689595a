"""Whom npm trusts, and where it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bursar.sandbox.setup.npm import ca_bundle, npm_environment


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "company.pem"
    file.touch()
    return file


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_node_trusts_whom_the_other_tools_were_told_to_trust(tmp_path, bundle, name):
    told = npm_environment(tmp_path, {name: str(bundle)})
    assert told["NODE_EXTRA_CA_CERTS"] == str(bundle)


def test_what_node_was_told_itself_stays(tmp_path, bundle):
    environ = {"NODE_EXTRA_CA_CERTS": "/mine.pem", "SSL_CERT_FILE": str(bundle)}
    assert "NODE_EXTRA_CA_CERTS" not in npm_environment(tmp_path, environ)


def test_without_a_word_node_trusts_whom_the_system_trusts(tmp_path, bundle):
    assert ca_bundle({}, [tmp_path / "none", bundle]) == bundle


def test_a_bundle_that_is_not_there_or_is_a_folder_is_passed_over(tmp_path, bundle):
    environ = {"SSL_CERT_FILE": str(tmp_path / "gone"), "REQUESTS_CA_BUNDLE": str(tmp_path)}
    assert ca_bundle(environ, [bundle]) == bundle
    assert ca_bundle(environ, []) is None


def test_npm_writes_beside_the_tools_and_gives_up_within_seconds(tmp_path):
    told = npm_environment(tmp_path, {})
    assert Path(told["npm_config_cache"]).parent == tmp_path
    assert int(told["npm_config_fetch_retry_maxtimeout"]) <= 5000
