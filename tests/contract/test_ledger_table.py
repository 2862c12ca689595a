"""The ledger's table on a line that breaks, throttles and lies, and under policies that allow too little."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from bursar.aws.dynamodb import LedgerAccessDenied
from bursar.aws.ledger_table import LedgerTable
from bursar.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from bursar.kms.service import Limits
from bursar.kms.sigv4 import Credentials
from bursar.ledger.book import Book, Pace
from bursar.ledger.pages import Page, Question, Seen
from bursar.ledger.receipts import Event
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn
from tests.contract.conftest import iam_user
from tests.contract.stores import PERMISSIONS, StoreWorld, fill, make_table, table_store
from tests.fakes.dynamodb_server import Cancel, Damaged, DynamoServer, Failed, Lost
from tests.fakes.kms_server import Delay, Fault, HangUp, Refuse, Reply

KEY = Credentials("AKIDLOCAL", "local-secret")
QUICK = Limits(deadline=2.0, attempt_timeout=0.2, attempts=4, first_wait=0.001)
ONCE = Limits(attempt_timeout=0.2, attempts=1)
# A page's two reads, before it is written.
RIGHT = Delay(0)
FIRST = Change(None, "1", {"receipt#1": "r"}, {"a": "1"})
SECRETS = ("111122223333", "secret-name", "arn:")


@pytest.fixture
def server() -> Iterator[DynamoServer]:
    with DynamoServer() as running:
        yield running


@pytest.fixture
def store(server: DynamoServer) -> Iterator[LedgerTable]:
    with table_store(server.url, "ledger", KEY, QUICK) as opened:
        yield opened


def plan(seen: Seen) -> Page:
    return Page(Event.DECISION, {"after": seen.head.number})


PASSING: list[Fault] = [
    Refuse("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
    Refuse("com.amazon.coral.availability#ThrottlingException"),
    Refuse("RequestLimitExceeded"),
    Refuse("InternalServerError", status=500),
    Refuse("ServiceUnavailable", status=503),
    Refuse("com.amazonaws.dynamodb.v20120810#TransactionInProgressException"),
    Cancel(reasons=("None", "ThrottlingError")),
    Cancel(reasons=("ProvisionedThroughputExceeded", "ConditionalCheckFailed")),
    Reply(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    HangUp(),
    Delay(0.4),
    Damaged(),
    Failed(),
    Lost(),
]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_what_passes_is_asked_again_and_written_once(
    server: DynamoServer, store: LedgerTable, fault: Fault
) -> None:
    server.script.extend([fault, fault])
    store.put("book", FIRST)
    assert {name: item["data"]["S"] for (_, name), item in server.items.items()} == {
        HEAD: "1",
        "receipt#1": "r",
        "a": "1",
    }
    assert len({request.fields["ClientRequestToken"] for request in server.requests}) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "fault", [each for each in PASSING if not isinstance(each, Cancel)], ids=repr
)
def test_a_read_that_fails_in_passing_is_asked_again(
    server: DynamoServer, store: LedgerTable, fault: Fault
) -> None:
    store.put("book", FIRST)
    server.script.extend([fault, fault])
    assert store.get("book", [HEAD]) == {HEAD: "1"}
    server.script.append(fault)
    assert store.get("book", [HEAD, "a", "b"]) == {HEAD: "1", "a": "1"}
    server.script.append(fault)
    assert list(store.between("book", "a", "b")) == [("a", "1")]


@pytest.mark.parametrize(
    "fault",
    [
        Refuse("ThrottlingException"),
        Refuse("ProvisionedThroughputExceededException"),
        Cancel(reasons=("ThrottlingError",)),
    ],
    ids=repr,
)
def test_a_table_that_stays_busy_was_not_written(
    server: DynamoServer, store: LedgerTable, fault: Fault
) -> None:
    server.script.extend([fault] * 10)
    with pytest.raises(LedgerUnavailable) as caught:
        store.put("book", FIRST)
    assert type(caught.value) is LedgerUnavailable
    assert len(server.requests) == QUICK.attempts


UNKNOWN: list[Fault] = [Lost(), Damaged(), Failed(), HangUp(), Delay(0.5), Refuse("X", status=500)]


@pytest.mark.parametrize("fault", UNKNOWN, ids=repr)
def test_where_no_answer_can_be_had_the_outcome_is_unknown(
    server: DynamoServer, store: LedgerTable, fault: Fault
) -> None:
    server.script.extend([fault] * 10)
    with pytest.raises(OutcomeUnknown):
        store.put("book", FIRST)


@pytest.mark.parametrize("fault", UNKNOWN, ids=repr)
def test_a_read_that_cannot_be_had_is_unavailable(
    server: DynamoServer, store: LedgerTable, fault: Fault
) -> None:
    server.script.extend([fault] * 10)
    with pytest.raises(LedgerUnavailable) as caught:
        store.get("book", [HEAD])
    assert type(caught.value) is LedgerUnavailable


@pytest.mark.parametrize(
    "answer",
    [
        Refuse("AccessDeniedException"),
        Refuse("ThrottlingException"),
        Cancel(reasons=("TransactionConflict",)),
        Cancel(reasons=("ConditionalCheckFailed", "None")),
    ],
    ids=repr,
)
def test_no_answer_to_a_repetition_tells_what_became_of_the_attempt_before(
    server: DynamoServer, store: LedgerTable, answer: Fault
) -> None:
    server.script.extend([Lost(), *[answer] * 5])
    with pytest.raises(OutcomeUnknown):
        store.put("book", FIRST)


def test_our_own_write_of_before_is_not_taken_for_somebody_else_s(
    server: DynamoServer, store: LedgerTable
) -> None:
    server.forgets_tokens = True
    server.script.append(Lost())
    with pytest.raises(OutcomeUnknown):
        store.put("book", FIRST)
    assert store.get("book", [HEAD]) == {HEAD: "1"}


@pytest.mark.parametrize(
    "reasons",
    [
        ("ConditionalCheckFailed", "None"),
        ("None", "TransactionConflict"),
        ("ConditionalCheckFailed", "TransactionConflict"),
    ],
)
def test_a_change_that_met_another_is_out_of_turn_and_not_repeated(
    server: DynamoServer, store: LedgerTable, reasons: tuple[str, ...]
) -> None:
    server.script.append(Cancel(reasons=reasons))
    with pytest.raises(OutOfTurn):
        store.put("book", FIRST)
    assert len(server.requests) == 1


FINAL = {
    Refuse("com.amazon.coral.service#AccessDeniedException"): "dynamodb:PutItem",
    Refuse("ResourceNotFoundException"): "no table ledger",
    Refuse("com.amazon.coral.validate#ValidationException"): "400 KB",
    Refuse("UnrecognizedClientException"): "credentials",
    Refuse("IdempotentParameterMismatchException"): "IdempotentParameterMismatch",
    Refuse("SomethingNew"): "SomethingNew",
    Cancel(reasons=("ValidationError",)): "400 KB",
    Cancel(reasons=("SomethingNew", "None")): "reason of its own",
    Cancel(reasons=()): "reason of its own",
    Reply(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n<html"): "in its place",
}


@pytest.mark.parametrize(("fault", "said"), FINAL.items(), ids=repr)
def test_a_refusal_is_final_and_says_what_to_do_in_our_own_words(
    server: DynamoServer, store: LedgerTable, fault: Fault, said: str
) -> None:
    server.script.append(fault)
    with pytest.raises(LedgerError) as caught:
        store.put("book", FIRST)
    assert not caught.value.retryable
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert not any(secret in str(caught.value.to_dict()) for secret in SECRETS)
    assert (len(server.requests), server.items) == (1, {})


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"Responses":[]}', b'{"Items":{}}'])
def test_an_answer_of_somebody_else_is_an_error_of_ours(
    server: DynamoServer, store: LedgerTable, body: bytes
) -> None:
    answer = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    reads = [lambda: list(store.between("book", "a", "b"))]
    reads += [lambda: list(store.get("book", ["a", "b"]).items())] if b"Items" not in body else []
    for read in reads:
        server.script.append(answer)
        with pytest.raises(LedgerError) as caught:
            read()
        assert not caught.value.retryable


def test_a_write_that_was_answered_by_somebody_else_has_an_unknown_outcome(
    server: DynamoServer, store: LedgerTable
) -> None:
    server.script.append(Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"))
    with pytest.raises(OutcomeUnknown):
        store.put("book", FIRST)


def test_an_item_that_is_no_entry_is_damage(server: DynamoServer, store: LedgerTable) -> None:
    server.items["book", HEAD] = {"book": {"S": "book"}, "entry": {"S": HEAD}, "data": {"N": "1"}}
    with pytest.raises(LedgerDamaged):
        store.get("book", [HEAD])


def test_a_change_that_no_transaction_holds_is_not_sent(
    server: DynamoServer, store: LedgerTable
) -> None:
    store.put("book", Change(None, "1", entries={str(number): "x" for number in range(99)}))
    with pytest.raises(LedgerError, match="101") as caught:
        store.put("book", Change("1", "2", entries={str(number): "y" for number in range(100)}))
    assert not caught.value.retryable
    assert "100" in (caught.value.hint or "")
    assert len(server.requests) == 1


def test_keys_that_were_left_out_are_asked_for_again(
    server: DynamoServer, store: LedgerTable
) -> None:
    names = {str(number): f"text {number}" for number in range(150)}
    fill(store, "book", names)
    server.requests.clear()
    server.unprocessed = 100
    assert store.get("book", names) == names
    asked = [len(each.fields["RequestItems"]["ledger"]["Keys"]) for each in server.requests]
    assert asked[:3] == [100, 100, 50]
    assert sum(asked) > 150


def test_keys_that_are_always_left_out_are_not_asked_for_without_end(
    server: DynamoServer,
) -> None:
    server.unprocessed = 1 << 60
    limits = Limits(deadline=0.3, first_wait=0.01, longest_wait=0.05)
    with (
        table_store(server.url, "ledger", KEY, limits) as store,
        pytest.raises(LedgerUnavailable, match="throttling"),
    ):
        store.get("book", ["a", "b"])


def test_a_page_is_read_when_it_is_needed(server: DynamoServer, store: LedgerTable) -> None:
    names = {f"{number:03d}": "x" for number in range(40)}
    fill(store, "book", names)
    server.requests.clear()
    server.page = 10
    found = store.between("book", "0", "9")
    assert server.requests == []
    assert [next(found)[0] for _ in range(10)] == list(names)[:10]
    assert len(server.requests) == 1
    assert [name for name, _ in found] == list(names)[10:]
    assert len(server.requests) == 4


def test_a_fault_in_a_later_page_is_raised_and_hides_nothing(
    server: DynamoServer, store: LedgerTable
) -> None:
    fill(store, "book", {f"{number:03d}": "x" for number in range(20)})
    server.page = 10
    found = store.between("book", "0", "9")
    first = [next(found) for _ in range(10)]
    server.script.append(Refuse("AccessDeniedException"))
    with pytest.raises(LedgerAccessDenied, match="not allow"):
        next(found)
    assert len(first) == 10


def test_nobody_listening_means_that_nothing_was_written() -> None:
    with DynamoServer() as gone:
        url = gone.url
    with (
        table_store(url, "ledger", KEY, QUICK) as store,
        pytest.raises(LedgerUnavailable) as caught,
    ):
        store.put("book", FIRST)
    assert type(caught.value) is LedgerUnavailable


def test_a_wrong_clock_is_put_right(server: DynamoServer, store: LedgerTable) -> None:
    server.clock_ahead = 7200
    server.script.append(Refuse("InvalidSignatureException"))
    store.put("book", FIRST)
    assert store.get("book", [HEAD]) == {HEAD: "1"}
    times = [request.headers["x-amz-date"] for request in server.requests]
    assert times[0] < times[1]


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("limits", [QUICK, ONCE], ids=["repeats", "once"])
@pytest.mark.parametrize("fault", [Lost(), Damaged(), Failed(), HangUp(), Delay(0.4)], ids=repr)
def test_a_book_knows_its_own_receipt_again_and_writes_it_once(
    server: DynamoServer, fault: Fault, limits: Limits, *, forgets: bool
) -> None:
    server.forgets_tokens = forgets
    with table_store(server.url, "ledger", KEY, limits) as store:
        book = Book(store, "book", Pace(first_wait=0.001))
        book.write(Question("0x1"), plan)
        server.script.extend([RIGHT, RIGHT, fault])
        _, receipt = book.write(Question("0x2"), plan)
        assert receipt.number == 2
        assert book.head() == receipt.head
        assert len(list(book.receipts())) == 2


@pytest.mark.parametrize("missing", PERMISSIONS)
def test_a_permission_that_is_missing_is_named(ministack: str, missing: str) -> None:
    user = iam_user(ministack, f"user-{uuid.uuid4().hex[:12]}", *(set(PERMISSIONS) - {missing}))
    table, book = make_table(ministack), uuid.uuid4().hex
    with table_store(ministack, table, user) as store:
        calls = {
            "dynamodb:GetItem": lambda: store.get(book, [HEAD]),
            "dynamodb:BatchGetItem": lambda: store.get(book, [HEAD, "a"]),
            "dynamodb:Query": lambda: list(store.between(book, "a", "b")),
            "dynamodb:PutItem": lambda: store.put(book, FIRST),
        }
        with pytest.raises(LedgerAccessDenied) as caught:
            calls.pop(missing)()
        assert missing in (caught.value.hint or "")
        assert table in (caught.value.hint or "")
        assert "arn:" not in str(caught.value.to_dict())
        for call in calls.values():
            call()


def test_a_table_that_is_not_there_is_named(ministack: str) -> None:
    user = iam_user(ministack, f"user-{uuid.uuid4().hex[:12]}", *PERMISSIONS)
    with table_store(ministack, "no-such-ledger", user) as store:
        for call in (lambda: store.get("b", [HEAD]), lambda: store.put("b", FIRST)):
            with pytest.raises(LedgerError, match="no-such-ledger") as caught:
                call()
            assert not caught.value.retryable


def test_a_wrong_secret_is_told_from_a_missing_permission(ministack: str) -> None:
    with (
        table_store(ministack, "no-such-ledger", Credentials("AKIANOBODY", "nothing")) as store,
        pytest.raises(LedgerError, match="credentials"),
    ):
        store.get("book", [HEAD])


def test_an_entry_that_is_too_large_for_the_table_is_refused_with_the_limits(
    ledger_table: StoreWorld, book: str
) -> None:
    store = ledger_table.open()
    with pytest.raises(LedgerError) as caught:
        store.put(book, Change(None, "1", entries={"a": "x" * 410_000}))
    assert "400 KB" in (caught.value.hint or "")
    assert store.get(book, [HEAD]) == {}
    ledger_table.close()
