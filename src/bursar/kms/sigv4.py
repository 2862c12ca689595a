"""AWS Signature Version 4 over one POST without a query. Pure.

The key of a day, Region and service is derived once and kept, which leaves one HMAC and two hashes a request.
Source: IAM user guide, "Create a signed AWS API request". botocore's signer is the oracle in the tests.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from bursar.errors import KmsCredentials

_PRINTABLE = re.compile(r"\A[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An AWS access key, with its session token where it is temporary. The secret parts never show in repr.

    Raises:
        KmsCredentials: a part is empty, or holds white space or a character that no header may carry.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = {
            "access key id": self.access_key_id,
            "secret access key": self.secret_access_key,
            "session token": "-" if self.session_token is None else self.session_token,
        }
        for name, value in parts.items():
            if not isinstance(value, str) or not _PRINTABLE.match(value):
                raise KmsCredentials(
                    f"the {name} is empty or holds white space or control characters",
                    hint="set it again, without quotes or a line break at its end",
                )


@dataclass(frozen=True, slots=True)
class _DayKey:
    date: str
    secret: str = field(repr=False)
    key: bytes = field(repr=False)


class SigV4:
    """Signs requests to one path of one service in one Region. The path holds only characters that need no escape.

    Threads may share it: the kept key is replaced in one assignment, and at worst derived twice.
    """

    def __init__(self, region: str, service: str, path: str = "/") -> None:
        self._path = path
        self._scope = f"{region}/{service}/aws4_request"
        self._region = region
        self._service = service
        self._day = _DayKey("", "", b"")

    def sign(
        self, credentials: Credentials, headers: Mapping[str, str], body: bytes, now: float
    ) -> dict[str, str]:
        """Return the headers with date, session token and Authorization added, for a POST.

        `headers` have lower-case names and hold `host`; every one of them is signed. `now` is in seconds since
        1970 by the server's clock.
        """
        amz_date = amz_timestamp(now)
        signed = {**headers, "x-amz-date": amz_date}
        if credentials.session_token is not None:
            signed["x-amz-security-token"] = credentials.session_token
        names = sorted(signed)
        listed = ";".join(names)
        lines = "".join([f"{name}:{signed[name]}\n" for name in names])
        canonical = f"POST\n{self._path}\n\n{lines}\n{listed}\n{sha256(body).hexdigest()}"
        scope = f"{amz_date[:8]}/{self._scope}"
        digest = sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{amz_date}\n{scope}\n{digest}"
        key = self._day_key(amz_date[:8], credentials.secret_access_key)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _day_key(self, date: str, secret: str) -> bytes:
        day = self._day
        if day.date != date or day.secret != secret:
            key = b"AWS4" + secret.encode()
            for part in (date, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day = day = _DayKey(date, secret, key)
        return day.key


def amz_timestamp(now: float) -> str:
    """Return seconds since 1970 as SigV4 writes time: 20261123T140501Z."""
    return _written(int(now))


@lru_cache(maxsize=4)
def _written(second: int) -> str:
    at = datetime.fromtimestamp(second, UTC)
    return f"{at.year:04d}{at.month:02d}{at.day:02d}T{at.hour:02d}{at.minute:02d}{at.second:02d}Z"
