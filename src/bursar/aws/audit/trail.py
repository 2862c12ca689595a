"""CloudTrail's side: who had KMS sign with the key, or tried to. Pure.

Source: CloudTrail user guide, "CloudTrail record contents for management, data, and network activity events" and
"CloudTrail userIdentity element"; KMS developer guide, "Sign" under "Examples of AWS KMS log entries".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bursar import strict_json
from bursar.errors import AwsError
from bursar.strict_json import NotStrictJson


@dataclass(frozen=True, slots=True)
class AuditedKey:
    """The key by its ARN, and the aliases that lead to it now (`alias/…`)."""

    arn: str
    aliases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The key's id. A multi-Region key has the same in all its Regions."""
        return self.arn.rpartition("/")[2]

    def is_named(self, name: str) -> bool:
        """Tell whether an ARN, id, alias or alias ARN means this key, or a replica of it in another Region."""
        here = self.arn.rpartition(":")[0]
        aliases = {*self.aliases, *(f"{here}:{alias}" for alias in self.aliases)}
        return name == self.id or name.endswith(f":key/{self.id}") or name in aliases


@dataclass(frozen=True, slots=True)
class SignEvent:
    """One `kms:Sign` as CloudTrail recorded it. `error_code` is empty where a signature was made.

    `identity` is the caller's ARN, or what else names it; `issuer` the role behind a session. Texts that
    CloudTrail does not give are empty. `at` is to the second.
    """

    event_id: str
    request_id: str
    at: datetime
    region: str = ""
    identity: str = ""
    identity_type: str = ""
    issuer: str = ""
    access_key_id: str = ""
    source_ip: str = ""
    user_agent: str = ""
    error_code: str = ""

    @property
    def session(self) -> tuple[str, str, str]:
        """Whose credentials and program these were: the same for all calls of one container of a function."""
        return self.identity, self.access_key_id, self.user_agent


def read_event(text: str, key: AuditedKey) -> SignEvent | None:
    """Return an event in CloudTrail's JSON, None where it is not a `kms:Sign` with this key.

    Raises:
        AwsError: it is not an event. Nothing that CloudTrail says may be passed over.
    """
    try:
        fields: Any = strict_json.loads(text.encode())
        if not str(fields["eventSource"]).startswith("kms.") or fields["eventName"] != "Sign":
            return None
        return _sign_event(fields) if _is_about(fields, key) else None
    except (NotStrictJson, KeyError, TypeError, AttributeError, ValueError):
        raise AwsError("CloudTrail gave an event that cannot be read") from None


def _sign_event(fields: Mapping[str, Any]) -> SignEvent:
    who = _mapping(fields.get("userIdentity"))
    issuer = _mapping(_mapping(who.get("sessionContext")).get("sessionIssuer"))
    names = ("arn", "invokedBy", "principalId", "accountId", "type")
    return SignEvent(
        event_id=str(fields["eventID"]),
        request_id=_text(fields.get("requestID")),
        at=_moment(fields["eventTime"]),
        region=_text(fields.get("awsRegion")),
        identity=next((who[name] for name in names if _text(who.get(name))), "nobody named"),
        identity_type=_text(who.get("type")),
        issuer=_text(issuer.get("arn")),
        access_key_id=_text(who.get("accessKeyId")),
        source_ip=_text(fields.get("sourceIPAddress")),
        user_agent=_text(fields.get("userAgent")),
        error_code=_text(fields.get("errorCode")),
    )


def _is_about(fields: Mapping[str, Any], key: AuditedKey) -> bool:
    arns = [_text(_mapping(each).get("ARN")) for each in fields.get("resources") or ()]
    if keys := [arn for arn in arns if ":key/" in arn]:
        # The key itself counts, not the alias it was called by: that may have led elsewhere then.
        return any(key.is_named(arn) for arn in keys)
    asked = _mapping(fields.get("requestParameters"))
    # CloudTrail writes keyId, the emulator what the request said; some refused calls name the key in their error.
    name = _text(asked.get("keyId") or asked.get("KeyId"))
    return key.is_named(name) if name else key.id in _text(fields.get("errorMessage"))


def _moment(value: Any) -> datetime:
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value[:1000] if isinstance(value, str) else ""
