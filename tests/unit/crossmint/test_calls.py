from __future__ import annotations

import pickle

import pytest

from bursar.crossmint.calls import (
    Answer,
    ApiKey,
    check_idempotency_key,
    is_loopback,
    origin_for,
    record_segment,
)
from bursar.crossmint.client import CrossmintClient
from bursar.errors import ConfigError, CrossmintProtocolError, RequestError
from bursar.sandbox.crossmint.keys import mint_api_key
from tests.unit.crossmint.conftest import KEY

PRODUCTION_KEY = KEY.replace("staging", "production")
DEVELOPMENT_KEY = KEY.replace("staging", "development")


def test_a_server_side_key_knows_its_environment() -> None:
    assert ApiKey(KEY).environment == "staging"
    assert ApiKey(KEY).reveal() == KEY


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "no Crossmint API key"),
        (None, "no Crossmint API key"),
        (KEY.replace("sk_", "ck_"), "client-side"),
        ("sk_live_abcdef", "old form"),
        ("sk_test_abcdef", "old form"),
        ("sk_sandbox_abcdef", "not a Crossmint API key"),
        (KEY + "\n", "not a Crossmint API key"),
        ("sk_staging_a b", "not a Crossmint API key"),
    ],
)
def test_another_key_is_refused_and_not_shown(value: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        ApiKey(value)
    assert caught.value.hint
    assert not value or value not in caught.value.message


def test_a_key_does_not_show_and_does_not_travel() -> None:
    key = ApiKey(KEY)
    client = CrossmintClient(KEY)
    for text in (repr(key), str(key), repr(client), repr(client._session)):
        assert KEY[11:] not in text
    with pytest.raises(TypeError):
        pickle.dumps(key)
    client.close()


def test_keys_of_one_project_name_the_same_one_and_do_not_show_it() -> None:
    ours = [ApiKey(mint_api_key("acme").key).project for _ in range(2)]
    assert ours[0] == ours[1]
    others = [
        ApiKey(mint_api_key("other").key).project,
        ApiKey(mint_api_key("acme", prefix="sk_production").key).project,
        ApiKey(KEY).project,
    ]
    assert len({ours[0], *others}) == 4
    assert ours[0].startswith("staging-")
    assert "acme" not in ours[0]


@pytest.mark.parametrize("body", ["0OIl", "1", "zzzz", "A1b2C3d4" * 100, "a.b~c-d_e"])
def test_keys_of_another_make_share_one_project_for_each_environment(body: str) -> None:
    assert ApiKey(f"sk_staging_{body}").project == ApiKey(KEY).project
    assert ApiKey(f"sk_production_{body}").project == ApiKey(PRODUCTION_KEY).project


@pytest.mark.parametrize(
    ("key", "environment", "base_url", "origin"),
    [
        (KEY, None, None, "https://staging.crossmint.com"),
        (KEY, "staging", None, "https://staging.crossmint.com"),
        (PRODUCTION_KEY, None, None, "https://www.crossmint.com"),
        (KEY, None, "https://staging.crossmint.com/api/", "https://staging.crossmint.com"),
        (KEY, "staging", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (KEY, None, "http://localhost:3000/", "http://localhost:3000"),
        (KEY, None, "http://[::1]:3000/api", "http://[::1]:3000"),
        (DEVELOPMENT_KEY, None, "http://127.0.0.1:1", "http://127.0.0.1:1"),
        (PRODUCTION_KEY, None, "https://proxy.example.com", "https://proxy.example.com"),
    ],
)
def test_the_origin_follows_from_key_environment_and_base_url(
    key: str, environment: str | None, base_url: str | None, origin: str
) -> None:
    assert origin_for(ApiKey(key), environment, base_url) == origin


@pytest.mark.parametrize(
    ("key", "environment", "base_url"),
    [
        (KEY, "production", None),
        (PRODUCTION_KEY, "staging", None),
        (KEY, "testing", None),
        (DEVELOPMENT_KEY, None, None),
        (DEVELOPMENT_KEY, "staging", None),
        (KEY, None, "https://www.crossmint.com"),
        (PRODUCTION_KEY, None, "https://staging.crossmint.com/api"),
        (PRODUCTION_KEY, "staging", "http://127.0.0.1:1"),
        (KEY, None, "http://staging.crossmint.com"),
        (KEY, None, "http://127.0.0.1.example.com"),
        (KEY, None, "http://localhost.example.com"),
        (KEY, None, "https://user:pw@staging.crossmint.com"),
        (KEY, None, "https://staging.crossmint.com?x=1"),
        (KEY, None, "https://staging.crossmint.com#x"),
        (KEY, None, "https://staging.crossmint.com/elsewhere"),
        (KEY, None, "ftp://127.0.0.1"),
        (KEY, None, "staging.crossmint.com"),
        (KEY, None, "https://"),
        (KEY, None, "https://h:99999"),
        (KEY, None, "https://[::1"),
        (KEY, None, "https://a\nb"),
        (KEY, None, ""),
    ],
)
def test_a_mismatch_or_an_unsafe_base_url_is_refused(
    key: str, environment: str | None, base_url: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        origin_for(ApiKey(key), environment, base_url)
    assert key not in caught.value.message


def test_only_this_machine_is_loopback() -> None:
    assert is_loopback("http://127.9.9.9:1")
    assert not is_loopback("http://10.0.0.1")
    assert not is_loopback("https://example.com")


@pytest.mark.parametrize("key", ["", "a b", "a\n", "é", "x" * 256, None])
def test_an_idempotency_key_fits_a_header(key: str) -> None:
    assert check_idempotency_key("payroll-2026-11:0042")
    with pytest.raises(RequestError):
        check_idempotency_key(key)


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "a?b", "-x", "a" * 201, None, 3])
def test_a_record_id_fits_a_path(value: str) -> None:
    assert record_segment("7f9c0a1e-5d11") == "7f9c0a1e-5d11"
    with pytest.raises(RequestError):
        record_segment(value)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b'{"a": NaN}', b"\xff\xfe\x00", b"[" * 200_000]
)
def test_what_is_not_json_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(CrossmintProtocolError):
        Answer(200, {}, body).json()
