"""What npm is told by its environment: whose certificates to trust, where its cache is, when to give up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]

# Where pip, requests and OpenSSL are told of a company's own certificate authority.
_NAMED_BY = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
_SYSTEM = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch, Alpine
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, RHEL, Amazon Linux
    Path("/etc/ssl/ca-bundle.pem"),  # openSUSE
    Path("/etc/ssl/cert.pem"),  # macOS, BSD
)


def npm_environment(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables to lay over the environment of an npm whose cache is to be in `folder`.

    Node trusts the authorities it was built with, and `NODE_EXTRA_CA_CERTS`; it is given this machine's where
    the caller's environment names none. npm's pauses between attempts are kept to seconds, of a minute.
    """
    environ = os.environ if environ is None else environ
    told = {
        "npm_config_cache": str(npm_cache(folder)),
        "npm_config_update_notifier": "false",
        "npm_config_fetch_retry_mintimeout": "1000",
        "npm_config_fetch_retry_maxtimeout": "5000",
    }
    if not environ.get("NODE_EXTRA_CA_CERTS") and (bundle := ca_bundle(environ)):
        told["NODE_EXTRA_CA_CERTS"] = str(bundle)
    return told


def npm_cache(folder: Path) -> Path:
    """Return where npm keeps its cache while something is installed into `folder`; gone after a success."""
    return folder / "npm-cache"


def ca_bundle(environ: Mapping[str, str], system: Sequence[Path] | None = None) -> Path | None:
    """Return the file of certificate authorities the environment names, or the system's; None without one."""
    named = [Path(environ[name]) for name in _NAMED_BY if environ.get(name)]
    for candidate in (*named, *(_system() if system is None else system)):
        if candidate.is_file():
            return candidate.absolute()
    return None


def _system() -> list[Path]:
    import ssl

    own = ssl.get_default_verify_paths().cafile
    return [*([Path(own)] if own else []), *_SYSTEM]
