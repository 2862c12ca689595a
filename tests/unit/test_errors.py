from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from bursar import errors
from bursar.error_status import exit_status, http_status
from bursar.errors import BursarError, all_errors

# Other packages add classes of their own when they are imported; this is about the tree.
KINDS = [kind for kind in all_errors() if kind.__module__ == errors.__name__]
by_name = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def made(kind: type[BursarError]) -> BursarError:
    """Make the error with a distinct value for each attribute that its class takes."""
    names = [name for name in inspect.signature(kind).parameters if name != "message"]
    return kind("what is wrong", **{name: f"the {name}" for name in names})


def all_said(error: BursarError) -> dict[str, object]:
    return {**vars(error), "args": error.args, "text": str(error), "body": error.to_dict()}


@by_name
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_it_says(kind: type[BursarError], protocol: int) -> None:
    error = made(kind)
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  our own bytes
    assert type(again) is kind
    assert all_said(again) == all_said(error)


@by_name
def test_every_error_copies_with_all_it_says(kind: type[BursarError]) -> None:
    assert all_said(copy.deepcopy(made(kind))) == all_said(made(kind))


def test_a_note_survives_pickling() -> None:
    error = errors.KmsTimeout("too late", request_id="r-1")
    error.add_note("the key was made")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert (again.__notes__, again.request_id) == (["the key was made"], "r-1")


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS if "code" in vars(kind)]
    assert len(codes) == len(set(codes))


@by_name
def test_every_class_has_a_code_of_its_own_and_a_place_in_the_drawing(
    kind: type[BursarError],
) -> None:
    assert "code" in vars(kind)
    assert kind.code == kind.code.lower()
    assert kind.code.replace("_", "").isalnum()
    words = str(errors.__doc__).split()
    assert kind.__name__ in words or kind.__base__ is errors.RequestError


@by_name
def test_every_error_has_an_http_status_and_an_exit_status(kind: type[BursarError]) -> None:
    assert 400 <= http_status(made(kind)) < 600
    assert 1 <= exit_status(made(kind)) <= 5


@by_name
def test_a_retryable_error_is_never_the_caller_s_fault(kind: type[BursarError]) -> None:
    if kind.retryable:
        assert http_status(made(kind)) in (429, 500, 502, 503, 504)


@pytest.mark.parametrize(
    ("kind", "status", "exits"),
    [
        (errors.DigestError, 400, 2),
        (errors.RequestTooLarge, 413, 2),
        (errors.SignerMismatch, 403, 3),
        (errors.BlindSigningDisabled, 403, 3),
        (errors.WrongKey, 502, 4),
        (errors.KmsThrottled, 429, 1),
        (errors.KmsTimeout, 504, 1),
        (errors.KmsUnavailable, 503, 1),
        (errors.KmsAccessDenied, 502, 1),
        (errors.SettlementTimeout, 500, 5),
        (errors.LedgerDamaged, 500, 4),
        (errors.LedgerUnavailable, 503, 1),
        (errors.CrossmintOutcomeUnknown, 500, 5),
        (errors.RecipientWalletSanctioned, 500, 3),
    ],
)
def test_the_statuses_of_the_contract(kind: type[BursarError], status: int, exits: int) -> None:
    assert (http_status(made(kind)), exit_status(made(kind))) == (status, exits)


def test_the_body_has_a_hint_only_where_there_is_one() -> None:
    plain = errors.DigestError("not a hash")
    assert plain.to_dict() == {
        "code": "invalid_digest",
        "message": "not a hash",
        "retryable": False,
    }
    assert errors.DigestError("x", hint="give 32 bytes").to_dict()["hint"] == "give 32 bytes"


def test_the_place_goes_before_the_message() -> None:
    error = errors.ConfigError.at("bursar.toml", "no Region", hint="set one")
    assert (str(error), error.hint) == ("bursar.toml: no Region", "set one")


def test_a_class_of_another_package_is_found_with_its_nearest_statuses() -> None:
    class Newer(errors.KmsThrottled):
        code = "newer"

    assert http_status(Newer("x")) == 429
    assert exit_status(Newer("x")) == 1
