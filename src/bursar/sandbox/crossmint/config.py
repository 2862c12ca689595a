"""The stand-in's configuration: one JSON file, readable by its owner alone because it holds API keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer

from bursar.errors import SandboxError
from bursar.sandbox.chain import Contracts

ALL_SCOPES = (
    "users.create",
    "users.read",
    "wallets.create",
    "wallets.fund",
    "wallets.read",
    "wallets:balance.read",
    "wallets:messages.sign",
    "wallets:nfts.read",
    "wallets:nfts.transfer",
    "wallets:signatures.create",
    "wallets:signatures.read",
    "wallets:transactions.create",
    "wallets:transactions.read",
    "wallets:transactions.sign",
)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiKey(_Strict):
    """One API key: the project it opens and what it may do there."""

    key: SecretStr
    project: str = Field(min_length=1)
    scopes: tuple[str, ...] = ALL_SCOPES

    @field_serializer("key", when_used="json")
    def _reveal(self, key: SecretStr) -> str:
        return key.get_secret_value()


class StandInConfig(_Strict):
    """Everything the stand-in needs to start.

    `rate_limit_scale` multiplies Crossmint's limits per minute; 0 switches them off. `rate_limit_window` is how
    many seconds that minute has. `settle_seconds` is how long a fully approved transaction stays `pending` before
    it is broadcast.
    """

    host: Literal["127.0.0.1"] = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    rpc_url: str = Field(pattern=r"^http://127\.0\.0\.1:\d+/?$")
    contracts: Contracts
    bundler: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    api_keys: tuple[ApiKey, ...] = Field(min_length=1)
    state_file: Path
    rate_limit_scale: Annotated[float, Field(ge=0)] = 1.0
    rate_limit_window: Annotated[float, Field(gt=0, le=60)] = 60.0
    settle_seconds: Annotated[float, Field(ge=0, le=60)] = 0.2

    @property
    def url(self) -> str:
        """The base URL clients are given; paths under it begin with /api/."""
        return f"http://{self.host}:{self.port}"

    def write(self, path: Path) -> None:
        """Write the file, mode 0600, replacing what was there."""
        aside = path.with_name(path.name + ".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json(indent=2))
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            SandboxError: it is not there, or not this configuration; the message repeats no values.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except OSError as error:
            raise SandboxError(f"cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            where = ", ".join(".".join(map(str, e["loc"])) or "the file" for e in error.errors())
            raise SandboxError(f"{path} is not a stand-in configuration: {where}") from None
