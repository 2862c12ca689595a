"""What a KMS key may be called, and where its Region answers. Pure.

Sources: KMS developer guide, "Key identifiers"; AWS general reference, "AWS service endpoints".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from bursar.errors import ConfigError, KmsRegionMismatch

# A key id is a UUID; a multi-Region key's is a prefix and 32 hex digits. The prefix is left open for new kinds.
_KEY_ID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[a-z]{2,8}-[0-9a-fA-F]{32}"
_ALIAS = r"alias/[A-Za-z0-9/_-]{1,250}"
_NAME = re.compile(
    r"\A(?:arn:(?P<partition>aws[a-z0-9-]{0,20}):kms:(?P<region>[a-z0-9-]{1,40}):(?P<account>[0-9]{12}):"
    rf"(?:key/(?P<arn_key>{_KEY_ID})|(?P<arn_alias>{_ALIAS}))|(?P<key>{_KEY_ID})|(?P<alias>{_ALIAS}))\Z",
    re.ASCII,
)
_REGION = re.compile(r"\A[a-z]{2,8}(?:-[a-z0-9]{1,20}){1,4}\Z", re.ASCII)
_ENDPOINT = re.compile(
    r"\A(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9a-fA-F:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?\Z",
    re.ASCII,
)
_LOOPBACK = re.compile(r"\A(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])\Z", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}

# The DNS suffix by the Region's prefix, the longer prefix first. Any other Region, however new, is in `aws`.
_SUFFIXES = (
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-iso-", "c2s.ic.gov"),
    ("eusc-", "amazonaws.eu"),
    ("cn-", "amazonaws.com.cn"),
    ("", "amazonaws.com"),
)


@dataclass(frozen=True, slots=True)
class KeyName:
    """A key as somebody named it. `region` and `account` are known for ARNs only.

    An alias may be moved to another key at any time; only `is_alias` False names one key for ever.
    """

    text: str
    resource: str
    is_alias: bool
    region: str | None = None
    account: str | None = None

    @property
    def is_key_arn(self) -> bool:
        """Whether this names one key for ever, from any account."""
        return self.region is not None and not self.is_alias

    @property
    def is_multi_region(self) -> bool:
        """Whether this is a multi-Region key's own id, which its replicas in other Regions share."""
        return self.resource.startswith("mrk-")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service answers. `authority` is what goes into the Host header."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The host, with the port where it is not the scheme's own."""
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return self.host
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for a socket: an IPv6 address without its brackets."""
        return self.host.strip("[]"), self.port


@lru_cache(maxsize=256)
def parse_key_name(text: str) -> KeyName:
    """Return what a key id, `mrk-` id, key ARN, alias name or alias ARN names.

    Raises:
        ConfigError: none of these.
    """
    match = _NAME.match(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            "the key's name is not a key id, key ARN, alias name or alias ARN",
            hint="an alias name begins with alias/, for example alias/treasury",
        )
    alias = match["alias"] or match["arn_alias"]
    key = match["key"] or match["arn_key"]
    return KeyName(text, alias or key, alias is not None, match["region"], match["account"])


def require_region(name: KeyName, region: str) -> None:
    """Refuse a key of another Region before anything is sent there.

    Raises:
        KmsRegionMismatch: the ARN names another Region than the client's.
    """
    if name.region is not None and name.region != region:
        raise KmsRegionMismatch(
            f"the key is in {name.region}, and this client talks to {region}",
            hint=f"set the Region to {name.region} (in bursar.toml, [aws] region wins over AWS_REGION), "
            f"or name the key's replica in {region}",
        )


def parse_region(text: str) -> str:
    """Return a Region's name. Any well-formed name is taken, known to this version or not.

    Raises:
        ConfigError: not the form of a Region's name.
    """
    if not isinstance(text, str) or not _REGION.match(text):
        raise ConfigError("not the name of an AWS Region", hint="it looks like us-east-1")
    return text


def region_endpoint(region: str, *, fips: bool = False, service: str = "kms") -> Endpoint:
    """Return the public endpoint of a service, KMS if none is named, in a Region of whatever partition.

    Raises:
        ConfigError: not the form of a Region's name.
    """
    suffix = region_suffix(region)
    return Endpoint("https", f"{service}{'-fips' if fips else ''}.{region}.{suffix}", 443)


def region_suffix(region: str) -> str:
    """Return the DNS suffix of AWS's endpoints in a Region.

    Raises:
        ConfigError: not the form of a Region's name.
    """
    return next(suffix for prefix, suffix in _SUFFIXES if parse_region(region).startswith(prefix))


def parse_endpoint(url: str) -> Endpoint:
    """Return a custom endpoint: a VPC endpoint, a proxy, or an emulator on this machine.

    Raises:
        ConfigError: not `https://host[:port]`, or plain http to another machine.
    """
    match = _ENDPOINT.match(url) if isinstance(url, str) else None
    if match is None:
        raise ConfigError(
            "the AWS endpoint is not a URL of the form https://host[:port]",
            hint="give it without path, query, user or password",
        )
    scheme, host = match["scheme"], match["host"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        raise ConfigError("the AWS endpoint's port is not in 1 … 65535")
    if scheme == "http" and not _LOOPBACK.match(host):
        raise ConfigError(
            "plain http is for this machine only", hint="use https, or a loopback address"
        )
    return Endpoint(scheme, host, port)
