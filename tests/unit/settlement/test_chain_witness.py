"""The witness and its node: where it looks, what it waits for, and how it takes answers that are not honest."""

from __future__ import annotations

import contextlib
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import ChainError, ChainUnavailable, ConfigError
from bursar.settlement.chain_witness import ChainWitness, Looking
from bursar.settlement.json_rpc import Bounds
from bursar.settlement.judgement import Finding
from tests.unit.settlement.node import (
    BUNDLE,
    CHAIN,
    OTHERS,
    SECRET,
    URL,
    FakeNode,
    bundle,
    ended,
    paid,
    question,
    word,
)

ELSEWHERE = word(0xE15E)
READS = (
    "eth_chainId",
    "eth_blockNumber",
    "eth_getLogs",
    "eth_getTransactionReceipt",
    "eth_getBlockByNumber",
)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


def limit(code: int) -> dict[str, Any]:
    return {"code": code, "message": f"{URL} may not ask that"}


def test_the_named_transaction_is_read_without_a_search(node: FakeNode) -> None:
    node.mine(bundle(OTHERS, paid()))
    assert node.witness().verdict(question()).finding is Finding.PAID
    assert node.count("eth_getLogs") == 0


@pytest.mark.parametrize("named", [None, ELSEWHERE, "relay-17", "0x12", ""])
def test_without_a_usable_name_the_operation_is_searched_by_its_hash(
    node: FakeNode, named: str | None
) -> None:
    node.mine(bundle(OTHERS, paid()))
    verdict = node.witness().verdict(question(named=named))
    assert (verdict.finding, verdict.transaction) == (Finding.PAID, BUNDLE)


def test_an_operation_that_landed_elsewhere_than_crossmint_says_is_found(node: FakeNode) -> None:
    node.mine(bundle(OTHERS), transaction=ELSEWHERE)
    node.mine(bundle(paid()), block=115)
    verdict = node.witness().verdict(question(named=ELSEWHERE))
    assert (verdict.finding, verdict.transaction) == (Finding.PAID, BUNDLE)


def test_a_named_transaction_of_other_operations_alone_is_a_contradiction(node: FakeNode) -> None:
    node.mine(bundle(OTHERS))
    verdict = node.witness().verdict(question())
    assert verdict.finding is Finding.CONTRADICTED
    assert "which Crossmint names, holds 1 other user operations and not this" in verdict.words


def test_a_named_transaction_that_was_undone_shows_nothing(node: FakeNode) -> None:
    node.mine([])["status"] = "0x0"
    verdict = node.witness().verdict(question())
    assert verdict.found_nothing
    assert "undone as a whole" in verdict.words


def test_nothing_is_found_where_nothing_landed(node: FakeNode) -> None:
    verdict = node.witness().verdict(question())
    assert (verdict.finding, verdict.found_nothing) == (Finding.NOT_YET, True)


def test_blocks_before_the_approval_are_not_looked_at(node: FakeNode) -> None:
    node.mine(bundle(paid()), block=99)
    assert node.witness().verdict(question(named=None)).found_nothing


def test_a_head_behind_the_first_block_is_no_search(node: FakeNode) -> None:
    assert node.witness().verdict(question(named=None, from_block=500)).found_nothing
    assert node.count("eth_getLogs") == 0


@pytest.mark.parametrize(
    ("confirmations", "finding"), [(11, Finding.PAID), (12, Finding.NOT_YET), (1, Finding.PAID)]
)
def test_a_block_counts_once_it_is_deep_enough(
    node: FakeNode, confirmations: int, finding: Finding
) -> None:
    node.mine(bundle(paid()))
    verdict = node.witness(confirmations=confirmations).verdict(question())
    assert (verdict.finding, verdict.block) == (finding, 110)
    assert not verdict.found_nothing


@pytest.mark.parametrize("logs", [bundle([ended(success=0)]), bundle([ended()]), bundle(OTHERS)])
def test_bad_news_waits_for_confirmations_as_good_news_does(
    node: FakeNode, logs: list[Any]
) -> None:
    node.mine(logs)
    verdict = node.witness(confirmations=12).verdict(question())
    assert verdict.finding is Finding.NOT_YET
    assert "has 11 of 12 confirmations" in verdict.words


@pytest.mark.parametrize("now", [word(0xBAD), None])
def test_a_block_that_was_replaced_does_not_count(node: FakeNode, now: str | None) -> None:
    node.mine(bundle(paid()))
    node.blocks = {110: now} if now else {}
    verdict = node.witness().verdict(question())
    assert verdict.finding is Finding.NOT_YET
    assert "not the one it was in" in verdict.words


def test_a_node_whose_head_is_behind_the_receipt_has_no_confirmation(node: FakeNode) -> None:
    node.mine(bundle(paid()))
    node.height = 100
    assert "has 0 of 1" in node.witness().verdict(question()).words


def test_removed_logs_do_not_count(node: FakeNode) -> None:
    receipt = node.mine(bundle(paid()))
    for log in receipt["logs"]:
        log["removed"] = True
    assert node.witness().verdict(question()).found_nothing
    assert node.witness().verdict(question(named=None)).found_nothing


def test_a_log_without_its_receipt_is_not_yet_there(node: FakeNode) -> None:
    node.mine(bundle(paid()))
    node.overrides["eth_getTransactionReceipt"] = lambda _params: None
    assert node.witness().verdict(question(named=None)).found_nothing


def test_a_receipt_of_no_block_is_not_yet_there(node: FakeNode) -> None:
    receipt = node.mine(bundle(paid()))
    node.overrides["eth_getTransactionReceipt"] = lambda _params: {**receipt, "blockNumber": None}
    assert node.witness().verdict(question()).found_nothing


def test_the_search_goes_range_by_range(node: FakeNode) -> None:
    node.height = 10_000
    node.mine(bundle(paid()), block=7_777)
    assert node.witness().verdict(question(named=None)).finding is Finding.PAID
    ranges = [
        (int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16))
        for method, params in node.asked
        if method == "eth_getLogs"
    ]
    assert ranges == [(100, 2099), (2100, 4099), (4100, 6099), (6100, 8099)]


@pytest.mark.parametrize("code", [-32005, -32602, -32600, -32000, 35])
@pytest.mark.parametrize("most", [1, 10, 500])
def test_a_range_that_the_provider_refuses_is_halved_until_it_is_taken(
    node: FakeNode, code: int, most: int
) -> None:
    node.mine(bundle(paid()))

    def few(params: list[Any]) -> Any:
        size = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        return node.eth_getLogs(*params) if size <= most else limit(code)

    node.overrides["eth_getLogs"] = few
    witness = node.witness()
    assert witness.verdict(question(named=None)).finding is Finding.PAID
    before = node.count("eth_getLogs")
    assert witness.verdict(question(named=None)).finding is Finding.PAID
    assert node.count("eth_getLogs") - before <= before


def asked_for(node: FakeNode) -> list[int]:
    """How many blocks each search for events asked for."""
    return [
        int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        for method, params in node.asked
        if method == "eth_getLogs"
    ]


@pytest.mark.parametrize("code", [-32005, -32029, -32097, 429])
def test_a_limit_of_calls_is_waited_out_with_the_same_range(node: FakeNode, code: int) -> None:
    node.mine(bundle(paid()))
    refusals = [limit(code)] * 2
    node.overrides["eth_getLogs"] = lambda params: (
        refusals.pop() if refusals else node.eth_getLogs(*params)
    )
    assert node.witness().verdict(question(named=None)).finding is Finding.PAID
    assert asked_for(node) == [21, 21, 21]
    assert node.sleeps == [0.375, 0.75]


@pytest.mark.parametrize("code", [-32005, -32000])
def test_one_search_s_smaller_range_is_not_the_next_one_s(node: FakeNode, code: int) -> None:
    refusals = [limit(code)] * 12
    node.overrides["eth_getLogs"] = lambda params: (
        refusals.pop() if refusals and params[0]["fromBlock"] == hex(100) else []
    )
    witness = node.witness()
    with contextlib.suppress(ChainError):
        witness.verdict(question(named=None))
    refusals.clear()
    node.height = 5_000
    node.asked.clear()
    assert witness.verdict(question(named=None)).found_nothing
    assert asked_for(node) == [2_000, 2_000, 901]


@pytest.mark.parametrize("status", [400, 413])
def test_a_refusal_may_come_with_an_http_status(node: FakeNode, status: int) -> None:
    node.mine(bundle(paid()))

    def few(params: list[Any]) -> Any:
        if params[0]["toBlock"] == params[0]["fromBlock"]:
            return node.eth_getLogs(*params)
        return httpx2.Response(status, json={"jsonrpc": "2.0", "id": None, "error": limit(-32600)})

    node.overrides["eth_getLogs"] = few
    assert node.witness().verdict(question(named=None)).finding is Finding.PAID


@pytest.mark.parametrize(("code", "error"), [(-32000, ChainError), (-32005, ChainUnavailable)])
def test_a_provider_that_refuses_even_one_block_is_an_error_and_not_an_answer(
    node: FakeNode, code: int, error: type[ChainError]
) -> None:
    node.overrides["eth_getLogs"] = lambda _params: limit(code)
    with pytest.raises(error) as caught:
        node.witness().verdict(question(named=None))
    assert type(caught.value) is error


def test_a_search_without_end_is_given_up_and_finds_nothing_out(node: FakeNode) -> None:
    node.height = 10**9
    with pytest.raises(ChainError, match="more than may be searched"):
        node.witness(most_ranges=5).verdict(question(named=None))
    assert node.count("eth_getLogs") == 5


def test_a_node_of_another_chain_is_refused_before_anything_is_asked(node: FakeNode) -> None:
    node.chain_id = 8453
    node.mine(bundle(paid()))
    with pytest.raises(ChainError, match="of chain 8453, and base-sepolia is 84532"):
        node.witness().verdict(question())
    assert [method for method, _ in node.asked] == ["eth_chainId"]
    with pytest.raises(ChainError):
        node.witness().height()


def test_the_chain_is_asked_for_its_id_once(node: FakeNode) -> None:
    witness = node.witness()
    assert (witness.height(), witness.height()) == (120, 120)
    assert node.count("eth_chainId") == 1


def test_a_question_about_another_chain_is_not_asked(node: FakeNode) -> None:
    with (
        ChainWitness(URL, "base", transport=httpx2.MockTransport(node.handle)) as base,
        pytest.raises(ConfigError, match="a witness of base, not of base-sepolia"),
    ):
        base.verdict(question())
    assert node.asked == []


TROUBLE = [
    httpx2.ConnectError(f"{URL} refused"),
    httpx2.ReadTimeout("slow"),
    httpx2.RemoteProtocolError("closed"),
    OSError("odd"),
    httpx2.Response(429, headers={"retry-after": "2"}),
    httpx2.Response(503),
    httpx2.Response(200, json={"jsonrpc": "2.0", "id": None, "error": limit(-32005)}),
]


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_read_is_repeated_and_then_the_node_is_unavailable(node: FakeNode, trouble: Any) -> None:
    node.overrides["eth_blockNumber"] = trouble
    with pytest.raises(ChainUnavailable):
        node.witness().height()
    assert node.count("eth_blockNumber") == 3
    assert len(node.sleeps) == 2


def test_a_read_that_comes_through_at_last_is_an_answer(node: FakeNode) -> None:
    answers = iter([httpx2.Response(502), httpx2.Response(429, headers={"retry-after": "2"})])
    node.overrides["eth_blockNumber"] = lambda _params: next(answers, "0x78")
    assert node.witness().height() == 120
    assert node.sleeps == [0.375, 2.75]


def test_a_node_that_wants_to_be_left_alone_for_long_is_unavailable_at_once(node: FakeNode) -> None:
    node.overrides["eth_blockNumber"] = httpx2.Response(429, headers={"retry-after": "3600"})
    with pytest.raises(ChainUnavailable):
        node.witness().height()
    assert node.sleeps == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(301, headers={"location": "https://elsewhere.example"}),
        httpx2.Response(401),
        httpx2.Response(403, text="<html>"),
        httpx2.Response(404),
        httpx2.Response(400, text="no"),
        httpx2.Response(204),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json={"jsonrpc": "2.0", "id": 999, "result": "0x78"}),
        httpx2.Response(200, json={"jsonrpc": "2.0", "id": 2}),
        httpx2.Response(200, content=b"x" * 2000),
        httpx2.Response(200, content=b"[" * 900),
    ],
)
def test_an_answer_that_is_not_json_rpc_is_an_error_that_is_not_repeated(
    node: FakeNode, answer: httpx2.Response
) -> None:
    node.overrides["eth_blockNumber"] = answer
    require_no_answer(node)


@pytest.mark.parametrize(
    "result",
    ["120", 119, None, "0x", "0x" + "f" * 17, {"hash": URL}, limit(-32601), {"code": "many"}],
)
def test_a_result_that_is_none_is_an_error_that_is_not_repeated(
    node: FakeNode, result: Any
) -> None:
    node.overrides["eth_blockNumber"] = lambda _params: result
    require_no_answer(node)


def test_a_compressed_answer_is_not_unpacked(node: FakeNode) -> None:
    packed = {"content-encoding": "gzip"}
    node.overrides["eth_blockNumber"] = lambda _params: httpx2.Response(
        200, headers=packed, stream=httpx2.ByteStream(b"bomb")
    )
    require_no_answer(node)


def test_an_answer_that_trickles_in_is_not_waited_for(node: FakeNode) -> None:
    def trickle() -> Iterator[bytes]:
        for _ in range(100):
            node.now += 1
            yield b" "

    node.overrides["eth_blockNumber"] = lambda _params: httpx2.Response(200, content=trickle())
    with pytest.raises(ChainUnavailable, match="TimeoutError"):
        node.witness(bounds=Bounds(attempts=2, timeout=20)).height()
    assert node.now == 42


def require_no_answer(node: FakeNode) -> None:
    with pytest.raises(ChainError) as caught:
        node.witness(bounds=Bounds(largest_answer=1000)).height()
    assert not caught.value.retryable
    assert node.count("eth_blockNumber") == 1


def spoil(receipt: dict[str, Any], **change: Any) -> Any:
    return lambda _params: {**receipt, **change}


def test_a_receipt_that_is_not_one_shows_nothing(node: FakeNode) -> None:
    receipt = node.mine(bundle(paid()))
    log = receipt["logs"][0]
    bad: list[Any] = [
        spoil(receipt, transactionHash=ELSEWHERE),
        spoil(receipt, status="0x2"),
        spoil(receipt, status=None),
        spoil(receipt, blockNumber=110),
        spoil(receipt, blockHash="0x12"),
        spoil(receipt, logs=None),
        spoil(receipt, logs=[*receipt["logs"], log]),
        spoil(receipt, logs=[{**log, "transactionHash": ELSEWHERE}]),
        spoil(receipt, logs=[{**log, "blockHash": ELSEWHERE}]),
        spoil(receipt, logs=[{**log, "address": "0x12"}]),
        spoil(receipt, logs=[{**log, "topics": "0x"}]),
        spoil(receipt, logs=[{**log, "topics": [word(1)] * 5}]),
        spoil(receipt, logs=[{**log, "topics": ["0x12"]}]),
        spoil(receipt, logs=[{**log, "data": "0x1"}]),
        spoil(receipt, logs=[{**log, "data": "0xzz"}]),
        spoil(receipt, logs=[{**log, "removed": "no"}]),
        spoil(receipt, logs=[{**log, "logIndex": -1}]),
        spoil(receipt, logs=["log"]),
        lambda _params: "receipt",
        lambda _params: [receipt],
    ]
    for answer in bad:
        node.overrides["eth_getTransactionReceipt"] = answer
        with pytest.raises(ChainError):
            node.witness().verdict(question())


def test_events_that_nobody_asked_for_are_an_error(node: FakeNode) -> None:
    receipt = node.mine(bundle(OTHERS, paid()))
    node.overrides["eth_getLogs"] = lambda _params: receipt["logs"]
    with pytest.raises(ChainError, match="nobody asked for"):
        node.witness().verdict(question(named=None))


def test_one_operation_in_two_transactions_is_an_error(node: FakeNode) -> None:
    node.mine(bundle(paid()))
    node.mine(bundle(paid()), transaction=ELSEWHERE)
    with pytest.raises(ChainError, match="in two transactions"):
        node.witness().verdict(question(named=None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(word(1)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["logs", "hash", "status", "topics", "blockNumber", "removed"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(READS), JSON)
def test_whatever_a_node_answers_only_our_errors_come_of_it(method: str, answer: Any) -> None:
    node = FakeNode()
    node.mine(bundle(paid()))
    node.overrides[method] = lambda _params: answer
    said = "an error"
    with contextlib.suppress(ChainError):
        said = node.witness().verdict(question(named=None)).finding
    assert said in {"an error", Finding.PAID, Finding.NOT_YET}


@pytest.mark.parametrize("trouble", [*TROUBLE, httpx2.Response(401), httpx2.Response(200, text="")])
def test_the_endpoints_address_is_in_no_error_log_or_repr(
    node: FakeNode, trouble: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = node.witness()
    witness.height()
    node.overrides["eth_blockNumber"] = trouble
    with pytest.raises(ChainError) as caught:
        witness.height()
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error.__dict__}"
        error = error.__cause__ or error.__context__
    assert SECRET not in f"{witness!r} {witness._rpc!r} {witness._rpc._endpoint!r} {caplog.text}"
    with pytest.raises(TypeError):
        pickle.dumps(witness)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.example",
        f"http://node.example/{SECRET}",
        f"ftp://node.example/{SECRET}",
        f"https:///{SECRET}",
        f"https://node.example:port/{SECRET}",
        f"https://node.example/ {SECRET}",
        f"https://node.example/{SECRET}\n",
        f"https://nøde.example/{SECRET}",
        f"https://[::1/{SECRET}",
        f"http://127.0.0.1.example/{SECRET}",
        None,
    ],
)
def test_an_address_that_is_not_safe_is_refused_without_being_shown(url: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ChainWitness(url, CHAIN)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8545", "http://localhost/x", "http://[::1]:1"])
def test_http_is_taken_on_this_machine(url: str, node: FakeNode) -> None:
    with ChainWitness(url, CHAIN, transport=httpx2.MockTransport(node.handle)) as witness:
        assert witness.height() == 120


def test_a_password_in_the_address_is_sent_as_one_and_not_as_a_part_of_it(node: FakeNode) -> None:
    url = f"https://me:{SECRET}%21@node.example/path?key=1"
    with ChainWitness(url, CHAIN, transport=httpx2.MockTransport(node.handle)) as witness:
        witness.height()
    sent = node.requests[-1]
    assert str(sent.url) == "https://node.example/path?key=1"
    assert sent.headers["authorization"] == httpx2.BasicAuth("me", f"{SECRET}!")._auth_header


def test_a_proxy_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://proxy.example")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ConfigError, match="proxy"):
        ChainWitness(URL, CHAIN)
    with ChainWitness("http://127.0.0.1:1", CHAIN):
        pass


def test_a_look_takes_at_least_one_of_everything() -> None:
    with pytest.raises(ConfigError):
        Looking(confirmations=0)
    with pytest.raises(ConfigError):
        Looking(range=0)
    with pytest.raises(ConfigError):
        Looking(most_ranges=0)


def test_a_chain_whose_id_is_unknown_has_no_witness() -> None:
    with pytest.raises(ConfigError):
        ChainWitness(URL, "nowhere")
