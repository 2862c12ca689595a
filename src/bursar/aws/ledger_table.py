"""The ledger's store over one DynamoDB table, for the signing function: sockets and the standard library only.

The table has the partition key `book` (S), the sort key `entry` (S) and one more attribute, `data` (S). The caller
needs `dynamodb:GetItem`, `dynamodb:BatchGetItem`, `dynamodb:Query` and `dynamodb:PutItem` on it; a transaction has
no permission of its own. Source: DynamoDB API reference, the pages of these and TransactWriteItems; DynamoDB
developer guide, "Managing complex workflows with DynamoDB transactions" (idempotency, isolation).

```
with LedgerTable.from_environment("bursar-ledger") as store:
    book = Book(store, key_arn)
```
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from bursar.aws import dynamodb
from bursar.aws.dynamodb import LedgerAccessDenied
from bursar.errors import ConfigError, KmsError, LedgerError, LedgerUnavailable
from bursar.kms.connections import Dialler
from bursar.kms.credentials import CredentialChain
from bursar.kms.http1 import Response
from bursar.kms.service import (
    Access,
    Course,
    Dialect,
    JsonService,
    Limits,
    Machine,
    chosen_endpoint,
    chosen_region,
)
from bursar.kms.wire import Call
from bursar.ledger.store import Change, OutcomeUnknown

# A page of the ledger is several calls, and whoever asked for a signature is waiting.
LIMITS: Final = Limits(
    deadline=6.0, attempt_timeout=2.0, attempts=6, first_wait=0.05, longest_wait=1.0
)
_TABLE: Final = re.compile(r"\A[A-Za-z0-9_.-]{3,255}\Z", re.ASCII)


class LedgerTable:
    """`bursar.ledger.store.Store` over a table of this name. Threads may share one.

    Reads are strongly consistent. A write is one transaction under a token made of what is written, so that it is
    repeated without harm; where its fate stays unknown all the same, that is said.

    Raises:
        ConfigError: not the form of a table's name.
    """

    def __init__(
        self,
        table: str,
        access: Access,
        *,
        limits: Limits | None = None,
        machine: Machine | None = None,
    ) -> None:
        if not _TABLE.match(table):
            raise ConfigError(
                "not the name of a DynamoDB table",
                hint="3 to 255 letters, digits, and _ . -; not its ARN",
            )
        self.table = table
        dialect = Dialect(
            "dynamodb",
            dynamodb.CONTENT_TYPE,
            partial(dynamodb.fault, table),
            dynamodb.LARGEST_ANSWER,
        )
        self._service = JsonService(dialect, access, limits or LIMITS, machine)

    @classmethod
    def from_environment(
        cls,
        table: str,
        region: str | None = None,
        endpoint: str | None = None,
        *,
        limits: Limits | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return a store set up as the AWS command line would be. No call is made.

        Region: the argument, AWS_REGION, AWS_DEFAULT_REGION, then the profile's where botocore is installed.
        Endpoint: the argument, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, then the Region's own (the FIPS one
        under AWS_USE_FIPS_ENDPOINT). Certificates: AWS_CA_BUNDLE, or the system's. Credentials: see
        `CredentialChain`.

        Raises:
            ConfigError: no Region is set, or a setting is malformed.
        """
        chosen = chosen_region(region, None, environ)
        return cls(
            table,
            Access(
                chosen,
                chosen_endpoint("dynamodb", chosen, endpoint, environ),
                CredentialChain(environ=environ),
            ),
            limits=limits,
            machine=Machine(connect=Dialler(environ.get("AWS_CA_BUNDLE") or None)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections. The store still works, with a new connection for each call."""
        self._service.close()

    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of these entries; those that are not there are left out.

        One call for one name, otherwise one for each hundred: `dynamodb:GetItem` or `dynamodb:BatchGetItem`.

        Raises:
            LedgerUnavailable: DynamoDB could not be reached, or was too busy.
            LedgerError: it refused, or there is no such table. LedgerDamaged: an item is not an entry.
        """
        asked = list(dict.fromkeys(names))
        if len(asked) == 1:
            call = dynamodb.get_call(self.table, book, asked[0])
            return dynamodb.read_one(self._read(call, "dynamodb:GetItem", self._service.begin()))
        found: dict[str, str] = {}
        for start in range(0, len(asked), dynamodb.MOST_KEYS):
            found |= self._get_many(book, asked[start : start + dynamodb.MOST_KEYS])
        return found

    def between(self, book: str, first: str, last: str) -> Iterator[tuple[str, str]]:
        """Yield the entries whose names are from `first` to `last`, both included, in the order of their bytes.

        A page of up to 1 MB is read when it is needed: `dynamodb:Query`.

        Raises:
            LedgerUnavailable, LedgerError: as `get`, at the entry that could not be read.
        """
        start: dict[str, Any] | None = None
        # DynamoDB refuses a range that ends before it begins; in Python's order of texts, UTF-8's is kept.
        while first <= last:
            call = dynamodb.query_call(self.table, book, (first, last), start)
            response = self._read(call, "dynamodb:Query", self._service.begin())
            entries, start = dynamodb.read_page(response)
            yield from entries
            if start is None:
                return

    def put(self, book: str, change: Change) -> None:
        """Write a change in one transaction of at most 100 entries: `dynamodb:PutItem`.

        Raises:
            OutOfTurn: the head is not the one that was seen, or something of `new` is there; nothing was written.
            OutcomeUnknown: an attempt may have been carried out, and nothing certain is known of it.
            LedgerUnavailable: DynamoDB was not reached or too busy; nothing was written.
            LedgerError: it refused, the change is too large, or there is no such table; nothing was written.
        """
        call = dynamodb.write_call(self.table, book, change)
        course = self._service.begin()
        try:
            dynamodb.require_written(self._ask(call, "dynamodb:PutItem", course))
        except LedgerError as error:
            # A refusal of a repetition says nothing of the attempt before: it may be that one's own doing.
            if _may_be_written(course):
                raise OutcomeUnknown(
                    f"the ledger may have been written: {error.message}",
                    hint="look before it is written again",
                ) from None
            raise

    def _get_many(self, book: str, names: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        course = self._service.begin()
        idle = 0
        while names:
            call = dynamodb.batch_call(self.table, book, names)
            response = self._read(call, "dynamodb:BatchGetItem", course)
            entries, left = dynamodb.read_batch(response, self.table)
            found |= entries
            if len(left) >= len(names):
                idle += 1
                self._service.wait(idle, course, dynamodb.throttled())
            names = left
        return found

    def _read(self, call: Call, permission: str, course: Course) -> Response:
        try:
            return self._ask(call, permission, course)
        except OutcomeUnknown as error:  # of a read there is no outcome to know
            raise LedgerUnavailable(error.message, hint=error.hint) from None

    def _ask(self, call: Call, permission: str, course: Course) -> Response:
        try:
            return self._service.call(call, course)
        except KmsError as error:
            raise dynamodb.line_error(error) from None
        except LedgerAccessDenied as error:
            hint = f"the caller's role must allow {permission} on the table {self.table}"
            raise LedgerAccessDenied(error.message, hint=hint) from None


def _may_be_written(course: Course) -> bool:
    return course.unanswered > 0 or any(
        isinstance(failure, OutcomeUnknown) for failure in course.failures
    )
