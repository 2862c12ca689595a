"""DynamoDB on a loopback port: one ledger's table over real HTTP, with faults on demand.

```
with DynamoServer() as server:
    server.script.append(Lost())       # the next request is carried out, and its answer lost
```
It knows the four calls of `bursar.aws.dynamodb` and no others, and looks at no signature: ministack does both in
the contract suite. `forgets_tokens` makes it write a repeated request again, as AWS does after ten minutes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.kms_server import Fault, KmsServer, Refuse, Reply, Request

Item = dict[str, Any]


@dataclass(frozen=True)
class Lost(Reply):
    """Carry the request out, and close the connection in place of an answer."""

    data: bytes = b""


@dataclass(frozen=True)
class Damaged(Reply):
    """Carry the request out, and answer with one byte that is not what the checksum is of."""

    data: bytes = b""


@dataclass(frozen=True)
class Failed(Reply):
    """Carry the request out, and answer that it went wrong, with status 500."""

    data: bytes = b""


@dataclass(frozen=True)
class Cancel(Refuse):
    """Cancel a transaction for these reasons."""

    kind: str = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    reasons: tuple[str, ...] = ("None", "TransactionConflict")


@dataclass
class DynamoServer(KmsServer):
    """One table of books, by (book, entry). `unprocessed` is how many keys each BatchGetItem leaves out."""

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    forgets_tokens: bool = False
    unprocessed: int = 0
    page: int = 1000

    def _answer(self, request: Request, fault: Fault | None) -> bytes:
        if isinstance(fault, Cancel):
            reasons = [{"Code": code, "Message": fault.message} for code in fault.reasons]
            named = {"__type": fault.kind, "Message": fault.message}
            return self._http(400, named | {"CancellationReasons": reasons})
        if isinstance(fault, Refuse):
            return self._refusal(fault)
        if isinstance(fault, Reply) and fault.data:
            return fault.data
        answer = self._carry_out(request)
        if isinstance(fault, Lost):
            return b""
        if isinstance(fault, Failed):
            return self._refusal(Refuse("InternalServerError", status=500))
        return answer[:-1] + b"?" if isinstance(fault, Damaged) else answer

    def _carry_out(self, request: Request) -> bytes:
        action = request.target.removeprefix("DynamoDB_20120810.")
        if action == "TransactWriteItems":
            return self._write(request.fields)
        reads = {"GetItem": self._get, "BatchGetItem": self._batch, "Query": self._query}
        return self._http(200, reads[action](request.fields))

    def _get(self, fields: Item) -> Item:
        item = self.items.get(_key(fields["Key"]))
        return {} if item is None else {"Item": item}

    def _batch(self, fields: Item) -> Item:
        [(table, asked)] = fields["RequestItems"].items()
        take = max(0, len(asked["Keys"]) - self.unprocessed)
        found = [self.items[_key(key)] for key in asked["Keys"][:take] if _key(key) in self.items]
        left = {table: {"Keys": asked["Keys"][take:], "ConsistentRead": True}}
        self.unprocessed //= 2
        return {
            "Responses": {table: found},
            "UnprocessedKeys": left if take < len(asked["Keys"]) else {},
        }

    def _query(self, fields: Item) -> Item:
        values = {name: value["S"] for name, value in fields["ExpressionAttributeValues"].items()}
        after = fields.get("ExclusiveStartKey")
        found = [
            item
            for (book, name), item in sorted(self.items.items())
            if book == values[":book"]
            and values[":first"] <= name <= values[":last"]
            and (after is None or name > after["entry"]["S"])
        ]
        page, rest = found[: self.page], found[self.page :]
        last = {name: page[-1][name] for name in ("book", "entry")} if rest else None
        return {"Items": page, "Count": len(page)} | ({"LastEvaluatedKey": last} if last else {})

    def _write(self, fields: Item) -> bytes:
        token = fields["ClientRequestToken"]
        assert len(token) == 36
        if token in self.tokens and not self.forgets_tokens:
            assert self.tokens[token] == fields["TransactItems"]
            return self._http(200, {})
        puts = [each["Put"] for each in fields["TransactItems"]]
        codes = ["None" if self._holds(put) else "ConditionalCheckFailed" for put in puts]
        if set(codes) != {"None"}:
            return self._answer(Request("", {}, b""), Cancel(reasons=tuple(codes)))
        for put in puts:
            self.items[_key(put["Item"])] = put["Item"]
        self.tokens[token] = fields["TransactItems"]
        return self._http(200, {})

    def _holds(self, put: Item) -> bool:
        item = self.items.get(_key(put["Item"]))
        condition = put.get("ConditionExpression")
        if condition == "attribute_not_exists(#entry)":
            return item is None
        if condition == "#data = :seen":
            return item is not None and item["data"] == put["ExpressionAttributeValues"][":seen"]
        assert condition is None
        return True

    def _http(self, status: int, fields: Item) -> bytes:
        head, _, body = super()._http(status, fields).partition(b"\r\n\r\n")
        return head + f"\r\nx-amz-crc32: {zlib.crc32(body)}\r\n\r\n".encode() + body


def _key(fields: Item) -> tuple[str, str]:
    return fields["book"]["S"], fields["entry"]["S"]
