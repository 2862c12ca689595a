"""The address of a chain's JSON-RPC endpoint, which may hold an API key and is therefore never shown."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from bursar.crossmint.calls import is_loopback
from bursar.errors import ConfigError
from bursar.version import VERSION

if TYPE_CHECKING:
    import httpx2

_HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "identity",  # so that the size that is bounded is the size that comes
    "content-type": "application/json",
    "user-agent": f"bursar/{VERSION}",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post, without what identifies us, and the headers that do."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the endpoint of an address: https, or http on loopback, with or without user name and password.

        Raises:
            ConfigError: no such address; the message does not show it.
        """
        parts = _parts(url)
        headers = dict(_HEADERS)
        if parts is not None and parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["authorization"] = "Basic " + b64encode(login.encode()).decode()
        if parts is None:
            # Out of the handler: what went wrong there may quote the address.
            raise ConfigError(
                "the chain's endpoint must be an https address, or http on this machine",
                hint="set chain.rpc_url, for example https://sepolia.base.org",
            )
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
        return cls(bare.geturl(), headers)

    def transport(self) -> httpx2.BaseTransport:
        """Return what carries requests there, through the environment's proxy if it has one for it.

        Raises:
            ConfigError: the proxy's address is not one.
        """
        import httpx2

        try:
            return httpx2.HTTPTransport(proxy=self._proxy())
        except (ValueError, httpx2.InvalidURL, ImportError):
            pass
        raise ConfigError("the proxy that the environment names cannot be used")

    def _proxy(self) -> str | None:
        parts = urlsplit(self.url)
        if is_loopback(self.url) or proxy_bypass(parts.hostname or ""):
            return None
        proxies = getproxies()
        found = proxies.get(parts.scheme) or proxies.get("all")
        return found if not found or "://" in found else f"http://{found}"


def _parts(url: str) -> SplitResult | None:
    """Return the parts of an address that may be asked, or None."""
    import httpx2

    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  read to have it checked
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        return None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    return parts if parts.hostname and is_safe else None
