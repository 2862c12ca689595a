"""Settings: `bursar.toml`, overlaid by `BURSAR_<SECTION>_<NAME>` variables. Secrets come from variables only."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bursar.errors import ConfigError

FILE = "bursar.toml"
_MAX_BYTES = 65_536
API_KEY_VARIABLE = "BURSAR_CROSSMINT_API_KEY"
_WITH_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@|password=")


def _listed(value: Any) -> Any:
    """Take a variable's text for a list: its parts between commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _tagged(value: Any) -> Any:
    """Take a variable's text for a table: NAME=VALUE parts between commas."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in _listed(value)]
        return {name.strip(): text.strip() for name, _, text in pairs}
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AwsSettings(_Section):
    """Where the AWS resources are; AWS_REGION counts too. Credentials come as the AWS CLI finds them.

    `tags` are put on whatever the stack makes: a table, or `NAME=VALUE,NAME=VALUE` in the variable.
    """

    region: str | None = None
    stack: str = "bursar-treasury"
    tags: Annotated[dict[str, str], BeforeValidator(_tagged)] = Field(default_factory=dict)


class KeySettings(_Section):
    """The KMS key: an id, ARN, alias or alias ARN; and who may do what with a key that the stack makes."""

    id: str = "alias/bursar-treasury"
    administrators: Names = ()
    users: Names = ()
    account_delegation: bool = True
    multi_region: bool = False
    replica_of: str | None = None


class SignerSettings(_Section):
    """How signatures are asked for: through the deployed API, its function directly, or KMS from here.

    `address` pins the account whose signatures are accepted; without it, it is the wallet's own admin signer.
    `api_url` and `function` are the stack's outputs; without them the stack is asked.
    """

    via: Literal["api", "lambda", "kms"] = "api"
    scheme: Literal["eip191", "raw"] = "eip191"
    address: str | None = None
    api_url: str | None = None
    function: str | None = None


class FunctionSettings(_Section):
    """The signing function. Seconds, MiB and days; `reserved_concurrency` 0 reserves none."""

    architecture: Literal["arm64", "x86_64"] = "arm64"
    runtime: Literal["python3.11", "python3.12", "python3.13"] = "python3.13"
    memory: int = 256
    timeout: int = 15
    reserved_concurrency: int = 10
    log_retention: int = 365
    tracing: bool = False


class ApiSettings(_Section):
    """The API in front of it. `rate` is in requests a second, `burst` how many at once."""

    stage: str = "prod"
    rate: int = 100
    burst: int = 20
    private: bool = False
    access_logs: bool = True
    tls_policy: str = "SecurityPolicy_TLS13_1_2_2021_06"


class CallersSettings(_Section):
    """Who may ask for signatures: an IAM group to make, groups and roles that there are, by name."""

    group: str | None = None
    groups: Names = ()
    roles: Names = ()


class NetworkSettings(_Section):
    """The VPC to put the function into; without `vpc` it is in none."""

    vpc: str | None = None
    subnets: Names = ()
    kms_endpoint: str | None = None
    api_endpoint: str | None = None
    logs_endpoint: str | None = None
    security_group: str | None = None
    clients: Names = ()
    bind_key: bool = True
    route_tables: Names = ()
    dynamodb_endpoint: str | None = None
    dynamodb_prefix_list: str | None = None


class RecordsSettings(_Section):
    """The trail (`create`, `none`, or an existing trail's log group), alarms and dashboard.

    `ledger` is the table of what was signed by a policy: one that there is, by name, or `new`.
    """

    trail: str = "create"
    own_key: bool = True
    retention: int = 731
    topic: str | None = None
    emails: Names = ()
    dashboard: bool = True
    ledger: str | None = None


class PolicySettings(_Section):
    """What the deployed key signs by: the policy's file. Without one the signer knows no rules."""

    file: str | None = None


class LedgerSettings(_Section):
    """The ledger of a signer on this machine: a path or a database's URL, a password from the environment only."""

    url: SecretStr | None = Field(default=None, exclude=True)


class JournalSettings(_Section):
    """The journal of transfers: a path or a database's URL, a password from the environment only.

    Several machines share a PostgreSQL database; without a setting it is a file in the user's data folder.
    """

    url: SecretStr | None = Field(default=None, exclude=True)


class WalletSettings(_Section):
    """The treasury wallet and what it pays by default.

    `tokens` says what a token's name means: its contract and decimals, as in `"base-sepolia:usdc" = "0x…/6"`; in
    the variable as `NAME=VALUE,NAME=VALUE`. USDC is known. `factories` may deploy a wallet besides Kernel's own.
    `fee_each` is the most that one payment costs the wallet, in the chain's own coin, where it pays fees itself;
    without it somebody else pays them.
    """

    locator: str = "evm:smart:alias:treasury"
    token: str = "base-sepolia:usdc"  # noqa: S105  a token locator
    tokens: Annotated[dict[str, str], BeforeValidator(_tagged)] = Field(default_factory=dict)
    factories: Names = ()
    fee_each: str | None = None


class CrossmintSettings(_Section):
    """Which Crossmint to talk to. `url` replaces the environment's address, for the sandbox.

    `webhook_secrets` are those of its webhook endpoint, `whsec_…`, the new one first; between spaces.
    """

    environment: Literal["staging", "production"] = "staging"
    url: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True)
    webhook_secrets: SecretStr | None = Field(default=None, exclude=True)


class ChainSettings(_Section):
    """A JSON-RPC endpoint, to see payments at the chain itself: nothing counts as paid that it does not show.

    `name` is the chain's, by Crossmint's name [default: that of the wallet's token]; `confirmations` how deep a
    block must lie, the newest being 1.
    """

    rpc_url: str | None = None
    name: str | None = None
    confirmations: int = 1


class Config(_Section):
    """All settings of one project folder."""

    aws: AwsSettings = AwsSettings()
    key: KeySettings = KeySettings()
    signer: SignerSettings = SignerSettings()
    function: FunctionSettings = FunctionSettings()
    api: ApiSettings = ApiSettings()
    callers: CallersSettings = CallersSettings()
    network: NetworkSettings = NetworkSettings()
    records: RecordsSettings = RecordsSettings()
    policy: PolicySettings = PolicySettings()
    ledger: LedgerSettings = LedgerSettings()
    journal: JournalSettings = JournalSettings()
    wallet: WalletSettings = WalletSettings()
    crossmint: CrossmintSettings = CrossmintSettings()
    chain: ChainSettings = ChainSettings()


def load_config(path: str | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings of `path`, of `bursar.toml` here, or the defaults, overlaid by the environment.

    Raises:
        ConfigError: the file cannot be read, holds a secret or an unknown setting, or a value is wrong.
    """
    environ = os.environ if environ is None else environ
    file = Path(path or environ.get("BURSAR_CONFIG", FILE))
    named = path is not None or "BURSAR_CONFIG" in environ
    data = _read(file, required=named)
    _refuse_from_a_file(file, data)
    for section, settings in Config.model_fields.items():
        for name in getattr(settings.annotation, "model_fields", {}):
            value = environ.get(f"BURSAR_{section}_{name}".upper())
            if value:
                _section(data, section)[name] = value
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if region:
        _section(data, "aws").setdefault("region", region)
    try:
        return Config.model_validate(data)
    except ValidationError as invalid:
        raise ConfigError(f"{file.name}: {_first_problem(invalid)}") from None


def _refuse_from_a_file(file: Path, data: Mapping[str, Any]) -> None:
    for section in ("ledger", "journal"):
        if _WITH_PASSWORD.search(str(data.get(section, ""))):
            raise ConfigError(
                f"{file} holds a database's password",
                hint=f"remove it from the file, set BURSAR_{section.upper()}_URL instead, and change the password",
            )
    crossmint = str(data.get("crossmint", ""))
    if "webhook_secrets" in crossmint:
        raise ConfigError(
            f"{file} holds webhook secrets",
            hint="remove them from the file, set BURSAR_CROSSMINT_WEBHOOK_SECRETS instead, and replace them",
        )
    if "api_key" in crossmint:
        raise ConfigError(
            f"{file} holds an API key",
            hint=f"remove it from the file, set {API_KEY_VARIABLE} instead, and replace the key",
        )
    # Whoever names the address gets the API key: a file that lies in the folder must not be able to.
    if "'url'" in crossmint:
        raise ConfigError(
            f"{file} names Crossmint's address",
            hint="it comes from the environment only: BURSAR_CROSSMINT_URL",
        )


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.setdefault(name, {})
    if not isinstance(section, dict):
        raise ConfigError(
            f"{name} is a section of the settings, not a value", hint=f"write [{name}]"
        )
    return section


def _read(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        if file.exists() and not file.is_file():
            raise ConfigError(f"{file} is not a file")
        with file.open("rb") as opened:
            text = opened.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ConfigError(f"{file} is over {_MAX_BYTES} bytes")
        return tomllib.loads(text.decode("utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigError(
                f"there is no {file}", hint="name another file or leave it out"
            ) from None
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{file} cannot be read: {type(problem).__name__}") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{file} is not TOML: {problem}") from None
    except (RecursionError, ValueError):
        raise ConfigError(
            f"{file} is not settings: nested too deeply, or a number too long"
        ) from None


def _first_problem(invalid: ValidationError) -> str:
    first = invalid.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
