from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import RequestError
from bursar.policy.decision import Outcome
from bursar.policy.proposal import Approval, Kind, Payment, Proposal
from bursar.policy.records import Record, moment, proposal_of, record_of, records_in
from tests.unit.policy.treasury import ACME, ADA, DIGEST, SESSION, USDC

WHOLE: dict[str, Any] = {
    "kind": "transfer",
    "chain": "base-sepolia",
    "payments": [
        {
            "token": "base-sepolia:usdc",
            "contract": USDC,
            "amount": "200000",
            "recipient": ACME,
            "decimals": 6,
            "registered": True,
        }
    ],
    "calls": 1,
    "feeAtMost": "1000",
    "requestedBy": SESSION,
    "approvals": [{"principal": ADA, "digest": DIGEST, "at": "2026-11-25T10:00:00+01:00"}],
    "digest": DIGEST,
    "transaction": "t-1",
    "wallet": "0x1",
}
AT = "2026-11-25T09:00:00Z"


def test_a_proposal_is_read_whole():
    assert proposal_of(WHOLE) == Proposal(
        Kind.TRANSFER,
        "base-sepolia",
        (Payment("base-sepolia:usdc", USDC, 200_000, ACME, 6, registered=True),),
        1,
        1_000,
        SESSION,
        (Approval(ADA, DIGEST, datetime(2026, 11, 25, 9, tzinfo=UTC)),),
        DIGEST,
        "t-1",
        "0x1",
    )


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(set(WHOLE) - {"kind"})])
def test_what_is_left_out_or_null_is_not_known(nothing):
    assert proposal_of(nothing | {"kind": "blind_digest"}) == Proposal(Kind.BLIND_DIGEST)
    [payment] = proposal_of({"kind": "transfer", "payments": [{}]}).payments
    assert payment == Payment(None, None, None, None)


def test_a_record_says_when_what_was_decided_and_since_when_recipients_are_known():
    found = record_of(
        WHOLE
        | {
            "at": AT,
            "decided": "needs_approval",
            "firstSeen": {ACME.upper().replace("0X", "0x"): AT, "x": AT},
        }
    )
    when = datetime(2026, 11, 25, 9, tzinfo=UTC)
    assert (found.at, found.proposal) == (when, proposal_of(WHOLE))
    assert found.decided is Outcome.NEEDS_APPROVAL
    assert found.first_seen == {ACME: when, "x": when}
    bare = record_of({"kind": "other", "at": AT})
    assert (bare.decided, bare.first_seen) == (None, {})


WRONG = {
    "no object": (1, "a record is a JSON object"),
    "a field nobody knows": ({"to": 1}, "a record has no field 'to'"),
    "no time": ({"at": None}, "at is missing: when it was decided"),
    "a time that is a number": ({"at": 5}, "at is a time like 2026-11-01T08:00:00Z"),
    "a time without a zone": ({"at": "2026-11-25T09:00:00"}, "at is a time with a time zone"),
    "an unknown kind": (
        {"kind": "payment"},
        "kind is one of transfer, blind_digest, signer_change, unverifiable, other",
    ),
    "a kind that is a list": (
        {"kind": []},
        "kind is one of transfer, blind_digest, signer_change, unverifiable, other",
    ),
    "an unknown decision": (
        {"decided": "yes"},
        "decided is one of allowed, needs_approval, refused",
    ),
    "a decision that is a list": (
        {"decided": []},
        "decided is one of allowed, needs_approval, refused",
    ),
    "first seen by nobody": ({"firstSeen": [1]}, "firstSeen is an object of addresses and times"),
    "first seen at no time": (
        {"firstSeen": {"a": 1}},
        "firstSeen is a time like 2026-11-01T08:00:00Z",
    ),
    "no list": ({"payments": {}}, "payments is a list"),
    "no list of approvals": ({"approvals": "x"}, "approvals is a list"),
    "no payment": ({"payments": [1]}, "a payment is a JSON object"),
    "a payment's unknown field": ({"payments": [{"to": 1}]}, "a payment has no field 'to'"),
    "an amount that is a number": (
        {"payments": [{"amount": 5}]},
        'amount is base units as text, like "200000"',
    ),
    "an amount with a point": (
        {"payments": [{"amount": "1.5"}]},
        'amount is base units as text, like "200000"',
    ),
    "an amount with a zero before": (
        {"payments": [{"amount": "01"}]},
        'amount is base units as text, like "200000"',
    ),
    "an amount too long": (
        {"payments": [{"amount": "1" * 79}]},
        'amount is base units as text, like "200000"',
    ),
    "an amount past a word": (
        {"payments": [{"amount": str(2**256)}]},
        "amount is a whole number of at most 256 bits",
    ),
    "a fee that is a number": ({"feeAtMost": 5}, 'feeAtMost is base units as text, like "200000"'),
    "an approval without a time": (
        {"approvals": [{"principal": ADA, "digest": DIGEST}]},
        "an approval's at is a time like 2026-11-01T08:00:00Z",
    ),
    "an approval of nobody": (
        {"approvals": [{"digest": DIGEST, "at": AT}]},
        "an approval's principal is text",
    ),
    "an approval's unknown field": ({"approvals": [{"who": 1}]}, "an approval has no field 'who'"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_record_is_refused(change, message):
    value = {**WHOLE, "at": AT, **change} if isinstance(change, dict) else change
    with pytest.raises(RequestError) as caught:
        record_of(value)
    assert caught.value.message == message


def test_the_refusal_of_a_field_names_the_fields():
    with pytest.raises(RequestError) as caught:
        proposal_of({"kind": "transfer", "at": AT})
    assert caught.value.message == "a proposal has no field 'at'"
    assert (caught.value.hint or "").startswith("fields: kind, chain, payments")


def test_records_come_as_a_list_or_one_a_line():
    one, two = WHOLE | {"at": AT}, {"kind": "other", "at": AT}
    expected = [record_of(one), record_of(two)]
    assert records_in(json.dumps([one, two], indent=1).encode()) == expected
    assert records_in(f" \n{json.dumps(one)}\n\n{json.dumps(two)}\n".encode()) == expected
    assert records_in(b" \r\n\t" + json.dumps([one, two]).encode()) == expected
    assert records_in(b"[]") == records_in(b"") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[", "the file is not JSON: not JSON"),
        (b'{"kind"', "line 1 is not JSON: not JSON"),
        (b'\n{"at": 1.5}', "line 2 is not JSON: a number with a point, where amounts are text"),
        (
            b'[{"kind": "other", "at": "2026-11-25T09:00:00Z"}, 7]',
            "record 2: a record is a JSON object",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_place(body, message):
    with pytest.raises(RequestError) as caught:
        records_in(body)
    assert caught.value.message == message


def test_a_moment_is_in_utc():
    assert moment("2026-11-25T10:00:00+01:00", "x") == datetime(2026, 11, 25, 9, tzinfo=UTC)
    assert moment(AT, "x").utcoffset() == timedelta(0)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([AT, ADA, "transfer"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*WHOLE, "at", "amount", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*WHOLE, "at", "decided", "firstSeen"]), JSON), st.booleans()
)
def test_whatever_comes_is_a_record_or_our_own_error(value, usual):
    with suppress(RequestError):
        assert isinstance(
            record_of({"kind": "transfer", "at": AT} | value if usual else value), Record
        )


@pytest.mark.parametrize("written", ["0", "7", "10", "9" * 77])
def test_base_units_are_digits_in_text(written):
    asked = proposal_of({"kind": "transfer", "feeAtMost": written})
    assert asked.fee_at_most == int(written)


def test_a_recipient_was_first_seen_whatever_the_letter_case_of_the_address():
    address = "0x" + "aB" * 20
    seen = record_of({"kind": "other", "at": AT, "firstSeen": {address: AT, "somebody": AT}})
    assert list(seen.first_seen) == [address.lower(), "somebody"]


@pytest.mark.parametrize("text", ["yesterday", "", "2026-11-25", "2026-11-25T09:00:00", 7, None])
def test_what_is_no_moment_with_a_zone_is_refused(text):
    with pytest.raises(RequestError):
        moment(text, "at")
