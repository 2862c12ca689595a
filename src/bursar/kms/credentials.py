"""Where AWS credentials come from: the environment, or whatever botocore knows.

Lambda puts them into the environment, and then botocore is never imported. Everything else (profile, SSO, web
identity, ECS and EC2 roles) is botocore's resolver, which also renews them before they expire.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bursar.errors import ConfigError, KmsCredentials
from bursar.kms.sigv4 import Credentials

CredentialsProvider = Callable[[], Credentials]
"""Gives the credentials for one request. Called for every request, so that they can be renewed."""

_NEXT_STEP = (
    "log in (aws sso login, aws configure), choose a profile (AWS_PROFILE), or run under a role"
)


class Renewable(Protocol):
    """botocore's credentials, as far as they are used: frozen ones are renewed when they are near their end."""

    def get_frozen_credentials(self) -> Any:
        """Return access_key, secret_key and token that are valid now."""
        ...


class CredentialChain:
    """The credentials of the environment, or of botocore's resolver where those are not set.

    `profile` names a profile and passes the environment's keys over, as the AWS command line does. `resolve`
    stands for botocore's resolver: it takes the profile and returns what renews itself.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        environ: Mapping[str, str] = os.environ,
        resolve: Callable[[str | None], Renewable] | None = None,
    ) -> None:
        self._profile = profile
        self._environ = environ
        self._resolve = resolve or resolve_with_botocore
        self._fixed: Credentials | None = None
        self._renewable: Renewable | None = None
        self._current: tuple[Any, Credentials] | None = None

    def __call__(self) -> Credentials:
        """Return credentials that are valid now. It may read files or ask the role's endpoint.

        Raises:
            KmsCredentials: there are none, or they could not be renewed.
        """
        if self._fixed is not None:
            return self._fixed
        if self._profile is None and self._environ.get("AWS_ACCESS_KEY_ID"):
            self._fixed = environment_credentials(self._environ)
            return self._fixed
        if self._renewable is None:
            self._renewable = self._resolve(self._profile)
        return self._freeze(self._renewable)

    def _freeze(self, renewable: Renewable) -> Credentials:
        try:
            frozen = renewable.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001  each of botocore's providers fails in its own way
            raise KmsCredentials(
                f"the AWS credentials could not be renewed ({type(error).__name__})",
                hint=_NEXT_STEP,
            ) from None
        current = self._current
        if current is None or current[0] != frozen:
            made = Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
            self._current = current = (frozen, made)
        return current[1]


def environment_credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.

    Raises:
        KmsCredentials: the first two are not both set.
    """
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        missing = "AWS_SECRET_ACCESS_KEY" if access else "AWS_ACCESS_KEY_ID"
        raise KmsCredentials(f"{missing} is not set", hint=_NEXT_STEP)
    return Credentials(access, secret, environ.get("AWS_SESSION_TOKEN") or None)


def resolve_with_botocore(profile: str | None) -> Renewable:
    """Return what botocore finds: profile, SSO, web identity, container or instance role.

    Raises:
        KmsCredentials: botocore is not installed, or finds none.
    """
    try:
        found = _botocore_session(profile).get_credentials()
    except ImportError:
        raise KmsCredentials(
            "there are no AWS credentials in the environment",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or install bursar[aws] for profiles",
        ) from None
    except Exception as error:  # noqa: BLE001  each of botocore's providers fails in its own way
        raise KmsCredentials(
            f"the AWS credentials could not be read ({type(error).__name__})", hint=_NEXT_STEP
        ) from None
    if found is None:
        raise KmsCredentials("there are no AWS credentials", hint=_NEXT_STEP)
    renewable: Renewable = found
    return renewable


def profile_region(profile: str | None) -> str:
    """Return the Region of the profile in the AWS config file, where botocore is there to read it.

    Raises:
        ConfigError: no Region is set anywhere.
    """
    try:
        region = _botocore_session(profile).get_config_variable("region")
    except ImportError:
        region = None
    except Exception as error:  # noqa: BLE001  a broken config file fails in many ways
        raise ConfigError(f"the AWS profile could not be read ({type(error).__name__})") from None
    if not region:
        raise ConfigError("no AWS Region is set", hint="set AWS_REGION, for example us-east-1")
    return str(region)


def _botocore_session(profile: str | None) -> Any:
    from botocore.session import Session

    return Session(profile=profile)
