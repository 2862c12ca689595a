"""Credentials from where a role gives them, with no key in any setting, and renewed while the client works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from bursar.chains import evm
from bursar.errors import KmsCredentials
from bursar.kms.client import KmsClient, Limits
from bursar.kms.credentials import CredentialChain
from bursar.kms.names import parse_endpoint
from tests.fakes.kms_server import Key, KmsServer, Refuse

REQUEST = evm.kms_request(bytes(range(32)))
ROLE = "arn:aws:iam::111122223333:role/payer"


@dataclass
class RoleServer:
    """What ECS, EKS Pod Identity and STS answer: keys of a session, a new token each time it is asked."""

    lifetime: timedelta = timedelta(hours=1)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def session(self) -> dict[str, str]:
        expires = datetime.now(UTC) + self.lifetime
        return {
            "AccessKeyId": "AKIDLOCAL",
            "SecretAccessKey": "local-secret",
            "Token": f"token-{len(self.asked)}",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def container(self, authorization: str) -> str:
        self.asked.append(authorization)
        return json.dumps(self.session())

    def web_identity(self, form: dict[str, list[str]]) -> str:
        self.asked.append(form["WebIdentityToken"][0])
        assert form["RoleArn"] == [ROLE]
        found = self.session()
        found["SessionToken"] = found.pop("Token")
        parts = "".join(f"<{name}>{value}</{name}>" for name, value in found.items())
        inner = f"<Credentials>{parts}</Credentials>"
        result = f"<AssumeRoleWithWebIdentityResult>{inner}</AssumeRoleWithWebIdentityResult>"
        space = "https://sts.amazonaws.com/doc/2011-06-15/"
        return (
            f'<AssumeRoleWithWebIdentityResponse xmlns="{space}">{result}'
            "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
            "</AssumeRoleWithWebIdentityResponse>"
        )


def handler_for(role: RoleServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(role.container(self.headers.get("Authorization", "")), "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer(role.web_identity(parse_qs(body)), "text/xml")

        def answer(self, text: str, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    return Handler


@pytest.fixture
def role() -> Iterator[RoleServer]:
    made = RoleServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def key(kms_server: KmsServer) -> Key:
    return kms_server.create_key(alias="alias/treasury")


@pytest.fixture(autouse=True)
def no_keys_in_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(params=["ECS task", "EKS Pod Identity", "IRSA", "profile with a role"])
def source(
    request: pytest.FixtureRequest,
    role: RoleServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    kind: str = request.param
    token = tmp_path / "token"
    token.write_text("projected-token")
    if kind in {"ECS task", "EKS Pod Identity"}:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{role.url}/v2/credentials")
        if kind == "EKS Pod Identity":
            monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    elif kind == "IRSA":
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", role.url)
    else:
        (tmp_path / "config").write_text(
            f"[profile payer]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "payer")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", role.url)
    return kind


def client(server: KmsServer) -> KmsClient:
    return KmsClient(
        server.region,
        CredentialChain(),
        endpoint=parse_endpoint(server.url),
        limits=Limits(first_wait=0.001),
    )


def tokens(server: KmsServer) -> list[str]:
    return [request.headers["x-amz-security-token"] for request in server.requests]


def test_a_roles_session_signs_and_is_asked_for_once(
    kms_server: KmsServer, key: Key, role: RoleServer, source: str
) -> None:
    kms_server.session_token = "token-1"
    with client(kms_server) as kms:
        for _ in range(3):
            assert kms.sign(key.arn, REQUEST).key_arn == key.arn
    assert tokens(kms_server) == ["token-1"] * 3
    expected = "" if source == "ECS task" else "projected-token"
    assert role.asked == [expected]


def test_a_session_that_nears_its_end_is_renewed_between_two_calls_of_one_client(
    kms_server: KmsServer, key: Key, role: RoleServer, source: str
) -> None:
    role.lifetime = timedelta(minutes=5)
    kms_server.checks_signatures = False
    with client(kms_server) as kms:
        for _ in range(3):
            kms.sign(key.arn, REQUEST)
    seen = tokens(kms_server)
    assert len(set(seen)) == 3, source
    assert [int(token.removeprefix("token-")) for token in seen] == sorted(
        int(token.removeprefix("token-")) for token in seen
    )


@pytest.mark.usefixtures("source")
def test_a_session_that_aws_calls_expired_is_an_error_with_a_next_step(
    kms_server: KmsServer, key: Key
) -> None:
    kms_server.checks_signatures = False
    kms_server.script.append(Refuse("ExpiredTokenException"))
    with client(kms_server) as kms:
        with pytest.raises(KmsCredentials, match="expired") as caught:
            kms.sign(key.arn, REQUEST)
        assert "renew" in str(caught.value.hint)
        assert kms.sign(key.arn, REQUEST).key_arn == key.arn
    assert len(kms_server.calls("Sign")) == 2
