"""The control plane: make a signing key, name it, look at it. On boto3; nothing here signs.

The key policy is left to AWS's default, which lets IAM policies of the account decide.
Source: KMS API reference.
"""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from bursar.errors import (
    AwsAccessDenied,
    BursarError,
    ConfigError,
    KmsAliasTaken,
    KmsError,
    KmsKeyNotFound,
    KmsTimeout,
)
from bursar.kms.control import calling, open_client
from bursar.kms.names import parse_key_name, require_region
from bursar.kms.wire import KmsPublicKey

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import KeyMetadataTypeDef

_KEY_SPEC: Final = "ECC_SECG_P256K1"
_KEY_USAGE: Final = "SIGN_VERIFY"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a signing key is to be made with."""

    description: str = "bursar treasury signing key"
    tags: Mapping[str, str] = field(default_factory=dict)
    multi_region: bool = False


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """A key in KMS. `state` is AWS's word, for example Enabled or PendingDeletion. `aliases` begin with alias/.

    `origin` is where its private key was made: AWS_KMS, or EXTERNAL for one that somebody brought along.
    """

    key_arn: str
    key_id: str
    key_spec: str
    key_usage: str
    state: str
    created_at: datetime
    description: str
    is_multi_region: bool
    aliases: tuple[str, ...] = ()
    origin: str = "AWS_KMS"

    @property
    def can_sign(self) -> bool:
        """Whether this is an enabled key that an EVM signer can use, and that nobody ever held outside KMS."""
        kind = (self.key_spec, self.key_usage, self.state, self.origin)
        return kind == (_KEY_SPEC, _KEY_USAGE, "Enabled", "AWS_KMS")


class Keys:
    """Signing keys of one account and Region.

    A new key, alias or policy is seen everywhere only after a moment (KMS is eventually consistent), so what was
    just made is waited for: `patience` seconds at most for a key, and as long again for its alias.
    """

    def __init__(
        self,
        client: KMSClient,
        *,
        patience: float = 20.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._patience = patience
        self._monotonic = monotonic
        self._sleep = sleep

    @classmethod
    def open(
        cls, region: str | None = None, *, profile: str | None = None, endpoint: str | None = None
    ) -> Self:
        """Return the keys of a Region; by default of the AWS environment or profile. No call is made.

        Raises:
            ConfigError: no Region is set, or the profile cannot be read.
            UnsupportedOperation: boto3 is not installed.
        """
        return cls(open_client(region, profile, endpoint))

    def create(self, new: NewKey, *, alias: str | None = None) -> KeyDescription:
        """Make a secp256k1 signing key and give it an alias; return it once KMS shows both.

        It needs `kms:CreateKey` (with `kms:TagResource` for tags), `kms:CreateAlias` and `kms:DescribeKey`; not
        `kms:ListAliases`, since the one alias that a new key can have is known.
        If the alias cannot be given, the key stays, and the error names it.

        Raises:
            KmsAliasTaken: the alias is another key's; found before a key is made, wherever that can be seen.
            ConfigError: the alias is malformed.
            KmsError, AwsError: AWS refused or could not be reached.
        """
        if alias is not None:
            self._require_free(alias)
        key_arn = self._create(new)
        with _naming(key_arn, alias):
            if alias is not None:
                self._alias_new_key(alias, key_arn)
        with _naming(key_arn, None):
            found = self._wait_for(alias or key_arn, key_arn)
        return _description(found, [alias] if alias is not None else [])

    def create_alias(self, alias: str, key_arn: str) -> None:
        """Give a key an alias. It needs `kms:CreateAlias` on the key and on the alias.

        Raises:
            KmsAliasTaken: the alias exists already. It is not moved.
            ConfigError: not an alias name, or one that AWS keeps for itself.
            KmsError, AwsError: AWS refused or could not be reached.
        """
        with calling("kms:CreateAlias"):
            self._client.create_alias(
                AliasName=require_alias(alias), TargetKeyId=self._checked(key_arn)
            )

    def describe(self, name: str) -> KeyDescription:
        """Return a key, with all its aliases. It needs `kms:DescribeKey` and `kms:ListAliases`.

        Only a key's own account can list its aliases. One named by an ARN may be another account's: where its
        aliases cannot be listed, it is returned without any.

        Raises:
            ConfigError: not a name of a key.
            KmsKeyNotFound: there is none of that name.
            KmsError, AwsError: AWS refused or could not be reached.
        """
        found = self._metadata(name)
        try:
            aliases = self._aliases_of(found["KeyId"])
        except (AwsAccessDenied, KmsKeyNotFound):
            if parse_key_name(name).account is None:
                raise
            aliases = []
        return _description(found, aliases)

    def public_key(self, name: str) -> KmsPublicKey:
        """Return a key's public key. It needs `kms:GetPublicKey`.

        Raises:
            ConfigError: not a name of a key.
            KmsError, AwsError: AWS refused or could not be reached.
        """
        with calling("kms:GetPublicKey"):
            answer = self._client.get_public_key(KeyId=self._checked(name))
        return KmsPublicKey(
            answer["KeyId"], answer["PublicKey"], answer["KeySpec"], answer["KeyUsage"]
        )

    def signing_keys(self) -> list[KeyDescription]:
        """Return the account's secp256k1 signing keys in any state, oldest first.

        Keys of other kinds, and keys whose policy hides them from the caller, are passed over. It needs
        `kms:ListKeys`, `kms:ListAliases`, and `kms:DescribeKey` on each key to be seen.

        Raises:
            KmsError, AwsError: AWS refused or could not be reached.
        """
        aliases = self._aliases_by_key()
        found = [
            _description(key, aliases.get(key["KeyId"], []))
            for key in self._visible_keys()
            if (key.get("KeySpec"), key.get("KeyUsage")) == (_KEY_SPEC, _KEY_USAGE)
        ]
        return sorted(found, key=lambda key: (key.created_at, key.key_arn))

    def _create(self, new: NewKey) -> str:
        with calling("kms:CreateKey"):
            answer = self._client.create_key(
                KeySpec=_KEY_SPEC,
                KeyUsage=_KEY_USAGE,
                Description=new.description,
                MultiRegion=new.multi_region,
                Tags=[{"TagKey": key, "TagValue": value} for key, value in new.tags.items()],
            )
        return answer["KeyMetadata"]["Arn"]

    def _alias_new_key(self, alias: str, key_arn: str) -> None:
        for tries_left in self._tries():
            try:
                self.create_alias(alias, key_arn)
            except KmsKeyNotFound:  # the key that was just made
                if not tries_left:
                    raise
            else:
                return

    def _wait_for(self, name: str, key_arn: str) -> KeyMetadataTypeDef:
        for _ in self._tries():
            with suppress(KmsKeyNotFound):
                found = self._metadata(name)
                if found["Arn"] == key_arn:
                    return found
        raise KmsTimeout(
            f"{name} does not lead to the key yet", hint="wait a minute, then look again"
        )

    def _tries(self) -> Iterator[bool]:
        """Give one turn after another, with growing pauses, until patience ends; False in the last."""
        end, pause = self._monotonic() + self._patience, 0.1
        while self._monotonic() + pause <= end:
            yield True
            self._sleep(pause)
            pause = min(pause * 2, 2.0)
        yield False

    def _require_free(self, alias: str) -> None:
        try:
            self._metadata(require_alias(alias))
        except (KmsKeyNotFound, AwsAccessDenied):  # who may not look may still create: AWS decides
            return
        raise KmsAliasTaken(
            f"{alias} is the alias of another key", hint="choose another, or use that key as it is"
        )

    def _checked(self, name: str) -> str:
        require_region(parse_key_name(name), self._client.meta.region_name)
        return name

    def _metadata(self, name: str) -> KeyMetadataTypeDef:
        with calling("kms:DescribeKey"):
            return self._client.describe_key(KeyId=self._checked(name))["KeyMetadata"]

    def _aliases_of(self, key_id: str) -> list[str]:
        with calling("kms:ListAliases"):
            pages = self._client.get_paginator("list_aliases").paginate(KeyId=key_id)
            return [entry["AliasName"] for page in pages for entry in page["Aliases"]]

    def _aliases_by_key(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with calling("kms:ListAliases"):
            for page in self._client.get_paginator("list_aliases").paginate():
                for entry in page["Aliases"]:
                    found.setdefault(entry.get("TargetKeyId", ""), []).append(entry["AliasName"])
        return found

    def _visible_keys(self) -> Iterator[KeyMetadataTypeDef]:
        with calling("kms:ListKeys"):
            pages = self._client.get_paginator("list_keys").paginate()
            listed = [entry["KeyArn"] for page in pages for entry in page["Keys"]]
        for key_arn in listed:
            try:
                yield self._metadata(key_arn)
            except (AwsAccessDenied, KmsKeyNotFound):  # hidden by its policy, or gone since
                continue


def require_alias(text: str) -> str:
    """Return an alias name that a key of ours may have: alias/treasury.

    Raises:
        ConfigError: not an alias name, or one that AWS keeps for itself.
    """
    name = parse_key_name(text)
    if not name.is_alias or name.region is not None:
        raise ConfigError("not an alias name", hint="it begins with alias/, like alias/treasury")
    if text.startswith("alias/aws/"):
        raise ConfigError("AWS keeps aliases that begin with alias/aws/ for itself")
    return text


def spki_pem(spki_der: bytes) -> str:
    """Return a DER SubjectPublicKeyInfo as PEM text, as `openssl pkey -pubin` writes it (RFC 7468)."""
    text = binascii.b2a_base64(spki_der, newline=False).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _description(found: KeyMetadataTypeDef, aliases: list[str]) -> KeyDescription:
    return KeyDescription(
        key_arn=found["Arn"],
        key_id=found["KeyId"],
        key_spec=found["KeySpec"],
        key_usage=found["KeyUsage"],
        state=found["KeyState"],
        created_at=found["CreationDate"],
        description=found.get("Description", ""),
        is_multi_region=found.get("MultiRegion", False),
        aliases=tuple(sorted(aliases)),
        origin=found.get("Origin", "AWS_KMS"),
    )


@contextmanager
def _naming(key_arn: str, missing_alias: str | None) -> Iterator[None]:
    """Let no failure in the block hide that a key was made: say which, and how to go on."""
    if missing_alias:
        left = f"its alias {missing_alias} was not given"
        finish = f"create-alias --alias-name {missing_alias} --target-key-id {key_arn}"
    else:
        left, finish = "it cannot be seen", f"describe-key --key-id {key_arn}"
    give_up = f"schedule-key-deletion --key-id {key_arn}"
    try:
        yield
    except BursarError as error:
        ours = type(error)(
            f"the key {key_arn} was made, but {left}: {error.message}",
            hint=f"go on with: aws kms {finish}; or give the key up: aws kms {give_up}",
        )
        if isinstance(ours, KmsError) and isinstance(error, KmsError):
            ours.request_id = error.request_id
        raise ours from error
    except BaseException as error:
        error.add_note(f"the key {key_arn} was made; go on with: aws kms {finish}")
        raise
