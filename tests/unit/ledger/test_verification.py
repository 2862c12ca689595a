from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bursar.errors import AddressError, RequestError
from bursar.ledger.findings import MOST_LISTED, Fault, Remark
from bursar.ledger.receipts import GENESIS, Event, Head
from bursar.ledger.verification import Known, parse_head, verify
from tests.unit.ledger.chains import (
    BOOK,
    ENTRIES,
    KEY,
    POLICY,
    START,
    STRANGER,
    bare,
    chain,
    consent,
    decision,
    digest,
    failure,
    operation,
    rehashed,
    review,
    rewritten,
    sealed,
    signature,
    texts,
)

WHOLE = texts(chain(ENTRIES))
HEAD = chain(ENTRIES)[-1].head
PINNED = Known(address=KEY.address, book=BOOK)


def faults(found: list[str], known: Known | None = PINNED) -> list[tuple[int, str]]:
    return [(each.number, each.code.value) for each in verify(found, known).problems]


def of(*entries: tuple[Event, Any], known: Known = PINNED) -> list[tuple[int, str]]:
    return faults(texts(chain(list(entries))), known)


# a whole chain


def test_a_whole_chain_is_sound_and_counted():
    found = verify(WHOLE, Known(address=KEY.address, book=BOOK, heads=[HEAD]))
    assert (found.problems, found.notes) == ((), ())
    assert found.sound
    assert found.to_dict() == {
        "sound": True,
        "book": BOOK,
        "address": KEY.address,
        "first": {"number": 1, "at": "2026-11-25T08:00:00.000000Z"},
        "last": {"number": 11, "at": "2026-11-25T08:00:10.000000Z"},
        "head": f"11:{HEAD.hash}",
        "counts": {
            "receipts": 11,
            "allowed": 4,
            "repeated": 0,
            "needs_approval": 1,
            "refused": 1,
            "signatures": 3,
            "failures": 1,
            "consents": 1,
            "unanswered": 2,
        },
        "problems": [],
        "notes": [],
        "unlisted": 0,
    }


def test_bytes_and_no_pins_do_as_well():
    assert verify(text.encode() for text in WHOLE).sound


def test_an_independent_reader_finds_the_same_hashes_and_signers():
    previous = GENESIS
    for number, text in enumerate(WHOLE, start=1):
        receipt = json.loads(text)
        stated = receipt.pop("hash")
        plain = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert hashlib.sha256(plain.encode("ascii")).hexdigest() == stated
        assert (receipt["number"], receipt["previous"]) == (number, previous)
        previous = stated
        if receipt["event"] == "signature":
            body = receipt["body"]
            message = encode_defunct(hexstr=body["operation"])
            signer = Account.recover_message(message, signature=body["signature"])
            assert signer == body["address"] == KEY.address
    assert f"{len(WHOLE)}:{previous}" == str(verify(WHOLE).head)


def test_no_receipts_are_sound_and_noted():
    found = verify([])
    assert found.sound
    assert [(note.number, note.code) for note in found.notes] == [(0, Remark.EMPTY)]
    assert (found.first, found.head) == (None, Head())


def test_a_raw_digest_without_a_review_is_sound():
    raw = digest(operation(1), "raw")
    made = signature(1, 1, scheme="raw", digest=raw, signature=KEY.sign(raw))
    assert of((Event.DECISION, bare(1)), (Event.SIGNATURE, made)) == []


def test_a_part_is_checked_from_the_head_before_it():
    before = chain(ENTRIES)[4].head
    assert faults(WHOLE[5:], Known(start=before, heads=[before, HEAD])) == []
    assert faults(WHOLE[5:]) == [(6, "missing")]
    assert faults(WHOLE[5:], Known(start=Head(5, "ab" * 32))) == [(6, "broken_link")]


def test_a_decision_before_the_first_receipt_is_a_note():
    found = verify(WHOLE[7:], Known(start=chain(ENTRIES)[6].head))
    assert found.sound
    assert [(note.number, note.code.value) for note in found.notes] == [
        (8, "decision_before"),
        (9, "decision_before"),
    ]


def test_an_allowed_decision_without_an_outcome_is_a_note():
    found = verify(WHOLE[:10], PINNED)
    assert found.sound
    assert [(note.number, note.code) for note in found.notes] == [(10, Remark.OUTCOME_UNKNOWN)]


# the chain, tampered with


@pytest.mark.parametrize("place", range(len(WHOLE) - 1))
def test_a_deleted_receipt_is_missed(place):
    found = faults(WHOLE[:place] + WHOLE[place + 1 :])
    assert (place + 2, "missing") in found


def test_a_deleted_last_receipt_is_missed_by_who_remembers_the_head():
    assert faults(WHOLE[:-1]) == []
    assert faults(WHOLE[:-1], Known(heads=[HEAD])) == [(11, "head_missing")]
    assert faults([], Known(heads=[HEAD])) == [(11, "head_missing")]


@pytest.mark.parametrize("place", range(len(WHOLE) - 1))
def test_two_receipts_that_changed_places_are_found(place):
    swapped = [*WHOLE]
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    found = faults(swapped)
    assert (place + 2, "missing") in found
    assert (place + 1, "repeated") in found


@pytest.mark.parametrize("place", range(len(WHOLE)))
def test_a_receipt_that_is_there_twice_is_found(place):
    assert (place + 1, "repeated") in faults(WHOLE[: place + 1] + WHOLE[place:])


@pytest.mark.parametrize("place", range(len(WHOLE)))
@pytest.mark.parametrize("name", ["at", "body", "book", "event", "number", "previous", "hash"])
def test_an_edited_field_is_found(place, name):
    receipt = json.loads(WHOLE[place])
    was = receipt[name]
    receipt[name] = was + 1 if name == "number" else was | {"x": 1} if name == "body" else was + "0"
    edited = [*WHOLE]
    edited[place] = json.dumps(receipt, sort_keys=True, separators=(",", ":"))
    assert "wrong_hash" in {code for _, code in faults(edited)}


@pytest.mark.parametrize("place", range(len(WHOLE) - 1))
def test_a_receipt_that_was_edited_and_hashed_anew_breaks_the_link_after_it(place):
    receipt = json.loads(WHOLE[place])
    receipt["body"]["note"] = "forged"
    edited = [*WHOLE]
    edited[place] = sealed(receipt)
    assert (place + 2, "broken_link") in faults(edited)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_any_one_byte_that_was_changed_is_found(data):
    place = data.draw(st.integers(0, len(WHOLE) - 1))
    written = bytearray(WHOLE[place].encode())
    at = data.draw(st.integers(0, len(written) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(written[at] != byte)
    written[at] = byte
    changed = [text.encode() for text in WHOLE]
    changed[place] = bytes(written)
    assert not verify(changed).sound


def test_every_letter_of_the_case_of_hex_and_escapes_counts():
    receipt = WHOLE[0]
    assert "\\u00dc" in receipt
    assert faults([receipt.replace("\\u00dc", "\\u00DC"), *WHOLE[1:]]) == [(1, "not_canonical")]


def test_a_receipt_that_is_written_otherwise_is_found():
    assert faults([json.dumps(json.loads(WHOLE[0])), *WHOLE[1:]]) == [(1, "not_canonical")]


@pytest.mark.parametrize("place", range(1, len(WHOLE)))
def test_a_forged_receipt_that_was_put_in_is_found(place):
    receipt = json.loads(WHOLE[place])
    forged = receipt | {"previous": json.loads(WHOLE[place - 1])["hash"]}
    forged["body"] = decision(9, "refused")
    forged["event"] = "decision"
    found = faults([*WHOLE[:place], sealed(forged), *WHOLE[place:]])
    assert (place + 1, "repeated") in found


def test_a_tail_that_was_written_anew_is_found_by_who_remembers_a_head_alone():
    def change(receipt: dict[str, Any]) -> None:
        receipt["body"]["caller"] = {"claimedCaller": "somebody else", "via": "api"}

    forged = rewritten(WHOLE, 3, change)
    assert faults(forged) == []
    assert faults(forged, Known(heads=[HEAD])) == [(11, "head_differs")]
    earlier = [receipt.head for receipt in chain(ENTRIES)]
    assert faults(forged, Known(heads=earlier)) == [(n, "head_differs") for n in range(4, 12)]


def test_a_head_that_contradicts_another_is_found():
    other = Head(HEAD.number, "ab" * 32)
    assert faults(WHOLE, Known(heads=[HEAD, other])) == [(11, "head_differs")]


def test_a_head_before_the_part_that_is_read_cannot_be_seen():
    before = [receipt.head for receipt in chain(ENTRIES)]
    assert faults(WHOLE[5:], Known(start=before[4], heads=[before[3]])) == [(4, "head_missing")]


def test_the_head_of_an_empty_ledger_is_the_start_of_every_one():
    assert faults(WHOLE, Known(heads=[Head()])) == []


def test_another_book_is_found():
    def change(receipt: dict[str, Any]) -> None:
        receipt["book"] = "another\nbook"

    found = verify(rewritten(WHOLE, 5, change)).problems
    assert [(each.number, each.code) for each in found] == [(6, Fault.OTHER_BOOK)]
    assert "\n" not in found[0].message
    assert len(faults(WHOLE, Known(book="the key's"))) == len(WHOLE)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nothing", '"x"', "{" * 5000, '{"number":1e3}', "\ud800", WHOLE[0] + "\n{}"],
)
def test_what_is_no_receipt_is_found_once(text):
    assert faults([*WHOLE[:2], text, *WHOLE[3:]]) == [(3, "not_a_receipt")]


def test_a_number_that_is_true_is_none():
    text = json.dumps(json.loads(WHOLE[0]) | {"number": True}, sort_keys=True)
    assert faults([text, *WHOLE[1:]])[0] == (1, "not_a_receipt")


def test_a_time_that_is_none_is_found():
    for at in ("2026-11-25", "yesterday", "2026-11-25T08:00:00Z"):

        def change(receipt: dict[str, Any], at: str = at) -> None:
            receipt["at"] = at

        assert faults(rewritten(WHOLE, 2, change)) == [(3, "bad_time")]


def test_a_clock_that_goes_back_is_noted_beyond_ten_minutes():
    for minutes, noted in ((10, []), (11, [Remark.CLOCK_WENT_BACK])):
        times = [START] * len(ENTRIES)
        times[5] -= timedelta(minutes=minutes)
        found = verify(texts(chain(ENTRIES, at=times.__getitem__)))
        assert found.sound
        assert [note.code for note in found.notes] == noted


# what receipts say


def test_a_signature_by_another_key_is_found():
    stranger = signature(1, 1, STRANGER)
    assert of((Event.DECISION, decision(1)), (Event.SIGNATURE, stranger)) == [(2, "other_address")]
    pretended = stranger | {"address": KEY.address}
    assert of((Event.DECISION, decision(1)), (Event.SIGNATURE, pretended)) == [
        (2, "wrong_signature")
    ]


def test_two_keys_in_one_book_are_found_also_where_no_address_is_known():
    entries: list[tuple[Event, Any]] = [
        (Event.DECISION, decision(1)),
        (Event.SIGNATURE, signature(1, 1)),
        (Event.DECISION, decision(2)),
        (Event.SIGNATURE, signature(2, 3, STRANGER)),
    ]
    assert of(*entries, known=Known()) == [(4, "other_address")]


def test_signatures_that_changed_receipts_are_found():
    loaded = [json.loads(text) for text in WHOLE]
    one, other = loaded[7]["body"], loaded[8]["body"]
    one["signature"], other["signature"] = other["signature"], one["signature"]
    assert faults(rehashed(loaded)) == [(8, "wrong_signature"), (9, "wrong_signature")]
    one, other = loaded[7], loaded[8]
    one["body"], other["body"] = other["body"], one["body"]
    one["body"]["decision"], other["body"]["decision"] = 7, 6
    assert [code for _, code in faults(rehashed(loaded))][:2] == [
        "wrong_signature",
        "other_operation",
    ]


def test_a_high_s_is_no_signature():
    made = signature(1, 1)
    r, s, v = made["signature"][2:66], int(made["signature"][66:130], 16), made["signature"][130:]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    made["signature"] = f"0x{r}{order - s:064x}{55 - int(v, 16):02x}"
    assert of((Event.DECISION, decision(1)), (Event.SIGNATURE, made)) == [(2, "wrong_signature")]


def test_a_signature_whose_decision_was_taken_out_is_found():
    def change(receipt: dict[str, Any]) -> None:
        receipt["body"] = decision(2, "refused")

    assert faults(rewritten(WHOLE, 0, change)) == [(2, "no_decision")]
    assert faults(rehashed([json.loads(text) for text in WHOLE[1:]])) != []


def test_a_refusal_that_was_turned_into_an_allowance_is_found():
    def outcome(receipt: dict[str, Any]) -> None:
        receipt["body"]["outcome"] = "allowed"

    def refusal(receipt: dict[str, Any]) -> None:
        outcome(receipt)
        receipt["body"]["refusal"] = None

    def decided(receipt: dict[str, Any]) -> None:
        refusal(receipt)
        receipt["body"]["decision"]["outcome"] = "allowed"

    for change in (outcome, refusal, decided):
        assert faults(rewritten(WHOLE, 2, change)) == [(3, "not_allowed")]


def test_an_allowance_that_was_turned_into_a_refusal_leaves_its_signature_without_one():
    def change(receipt: dict[str, Any]) -> None:
        receipt["body"]["outcome"] = "refused"

    assert faults(rewritten(WHOLE, 0, change)) == [(2, "no_decision")]


def test_two_signatures_for_one_decision_are_found():
    made = (Event.SIGNATURE, signature(1, 1))
    assert of((Event.DECISION, decision(1)), made, made) == [(3, "second_outcome")]
    failed = (Event.FAILURE, failure(1, 1))
    assert of((Event.DECISION, decision(1)), failed, made) == [(3, "second_outcome")]


@pytest.mark.parametrize("outcome", ["refused", "needs_approval"])
def test_a_signature_of_what_was_not_allowed_is_found(outcome):
    entries = (Event.DECISION, decision(1, outcome)), (Event.SIGNATURE, signature(1, 1))
    assert of(*entries) == [(2, "no_decision")]


@pytest.mark.parametrize("decided", [0, 2, 3, 10**15])
def test_a_signature_of_a_decision_that_is_not_before_it_is_found(decided):
    entries = (Event.DECISION, decision(1)), (Event.SIGNATURE, signature(1, decided))
    assert of(*entries) == [(2, "no_decision")]


def test_a_signature_or_failure_of_something_else_than_was_decided_is_found():
    for event, body in ((Event.SIGNATURE, signature(2, 1)), (Event.FAILURE, failure(2, 1))):
        assert of((Event.DECISION, decision(1)), (event, body)) == [(2, "other_operation")]


def test_another_scheme_than_was_decided_is_found():
    raw = digest(operation(1), "raw")
    made = signature(1, 1, scheme="raw", digest=raw, signature=KEY.sign(raw))
    assert of((Event.DECISION, decision(1)), (Event.SIGNATURE, made)) == [(2, "other_operation")]


def test_a_digest_that_is_not_the_operations_is_found_on_every_kind():
    wrong: dict[str, Any] = {"digest": digest(operation(7))}
    assert (1, "wrong_digest") in of((Event.DECISION, decision(1, **wrong)))
    assert of((Event.DECISION, decision(1, "refused", operation=None, review=None))) == [
        (1, "wrong_digest")
    ]
    assert of((Event.CONSENT, consent(1, **wrong))) == [(1, "wrong_digest")]
    found = of((Event.DECISION, decision(1)), (Event.FAILURE, failure(1, 1, **wrong)))
    assert (2, "wrong_digest") in found
    made = signature(1, 1, **wrong) | {"signature": KEY.sign(wrong["digest"])}
    found = of((Event.DECISION, decision(1)), (Event.SIGNATURE, made))
    assert found == [(2, "wrong_digest"), (2, "other_operation")]


def test_a_review_of_another_operation_is_found():
    other: dict[str, Any] = {"review": review(2)}
    assert of((Event.DECISION, decision(1, "refused", **other))) == [(1, "wrong_operation")]
    assert of((Event.CONSENT, consent(1, **other))) == [(1, "wrong_operation")]


def test_what_was_signed_before_may_be_handed_out_again_and_nothing_new_signed():
    again = (Event.DECISION, decision(1, earlier=True))
    made = (Event.SIGNATURE, signature(1, 1))
    found = verify(texts(chain([(Event.DECISION, decision(1)), made, again])), PINNED)
    assert found.sound
    assert found.notes == ()
    assert (found.counts.allowed, found.counts.repeated) == (2, 1)
    assert of(again, made) == [(2, "no_decision")]


def test_what_cannot_be_verified_is_allowed_where_the_request_accepts_that():
    request = decision(1)["request"] | {"accept": ["unverifiable"]}
    unseen = decision(1, review=None, request=request)
    assert of((Event.DECISION, unseen), (Event.SIGNATURE, signature(1, 1))) == []


@pytest.mark.parametrize("name", ["review", "decision"])
def test_a_transaction_that_is_allowed_without_a_review_or_a_decision_is_found(name):
    assert of((Event.DECISION, decision(1) | {name: None})) == [(1, "not_allowed")]


def test_an_allowance_of_nothing_in_particular_is_found():
    assert of((Event.DECISION, bare(1) | {"digest": None})) == [(1, "bad_body")]


def test_the_policy_has_to_be_the_one_that_decided_and_one_that_was_named():
    other: dict[str, Any] = {"policy": {"version": 2, "hash": "00" * 32}}
    assert of((Event.DECISION, decision(1, **other))) == [(1, "other_policy")]
    for named in (POLICY, f"sha256:{POLICY}"):
        assert faults(WHOLE, Known(policy_hashes=[named])) == []
    allowed = [(n, "other_policy") for n in (1, 6, 7, 10)]
    assert faults(WHOLE, Known(policy_hashes=["00" * 32])) == allowed
    assert faults(texts(chain([(Event.DECISION, bare(1) | {"policy": None})])), None) == []


@pytest.mark.parametrize(
    ("event", "body", "name"),
    [
        (event, body, name)
        for event, body in (
            (Event.DECISION, decision(1)),
            (Event.SIGNATURE, signature(1, 1)),
            (Event.FAILURE, failure(1, 1)),
            (Event.CONSENT, consent(1)),
        )
        for name in body
        if name not in {"kmsRequestId", "released", "proposal"}
        and (event, name) not in {(Event.DECISION, "caller"), (Event.CONSENT, "policy")}
    ],
)
def test_a_member_of_a_body_that_is_missing_or_something_else_is_found(event, body, name):
    assert of((event, {key: kept for key, kept in body.items() if key != name})) != []
    values: tuple[Any, ...] = ([], True, -1, "0x")
    for value in values:
        if (name, value) == ("earlier", True):
            continue
        # Whatever is no null is a refusal, and nobody allows what is refused.
        assert of((event, body | {name: value}))


def test_an_event_that_is_none_is_found():
    def change(receipt: dict[str, Any]) -> None:
        receipt["event"] = "party"

    assert faults(rewritten(WHOLE, 2, change)) == [(3, "bad_body")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(place=st.integers(0, len(ENTRIES) - 1), data=st.data(), value=json_values)
@settings(max_examples=200, deadline=None)
def test_whatever_a_body_holds_it_is_judged_and_nothing_breaks(place, data, value):
    event, body = ENTRIES[place]
    name = data.draw(st.sampled_from(sorted(body)))
    entries = [*ENTRIES]
    entries[place] = event, body | {name: value}
    verify(texts(chain(entries)), PINNED).to_dict()


# heads, addresses and size


def test_a_head_is_read_as_it_is_written():
    assert parse_head(str(HEAD)) == HEAD
    for text in ("", "11", f"0:{GENESIS}", f"1:{'A' * 64}", f"1:{'a' * 63}", f" 1:{'a' * 64}"):
        with pytest.raises(RequestError, match="NUMBER:HASH"):
            parse_head(text)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(AddressError):
        verify([], Known(address="0x12"))


def test_endless_problems_are_counted_and_a_thousand_listed():
    found = verify("no receipt" for _ in range(MOST_LISTED + 5))
    assert (len(found.problems), found.unlisted) == (MOST_LISTED, 5)


def endless(receipts: int) -> Iterator[str]:
    """A chain as long as it gets, of decisions and their failures."""
    head = Head()
    for number in range(1, receipts, 2):
        for event, body in (
            (Event.DECISION, decision(1)),
            (Event.FAILURE, failure(1, number)),
        ):
            [receipt] = chain([(event, body)], head)
            head = receipt.head
            yield texts([receipt])[0]


def test_memory_does_not_grow_with_the_chain():
    tracemalloc.start()
    try:
        assert verify(endless(400)).sound
        _, few = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert verify(endless(4000)).counts.receipts == 4000
        _, many = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Ten times as many receipts of 2 kB each are 7 MB more; what is kept of a closed decision is its number.
    assert many < few + 1_000_000
