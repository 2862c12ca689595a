"""A function without room in the emulator: its reserved concurrency is used up, and Lambda turns calls away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import boto3
import pytest
from botocore.config import Config

from bursar.aws.cloud import Cloud
from bursar.aws.remote import LambdaSigner, Patience
from bursar.chains.evm import Scheme
from bursar.errors import SigningServiceUnavailable
from tests.e2e.account import HASH, Account


def test_what_lambda_says_of_used_up_concurrency_is_to_ask_again(account: Account) -> None:
    found = account.deploy()
    name = found.outputs["FunctionName"]
    # boto3's own repetitions would only make the test slow.
    once = Config(retries={"total_max_attempts": 1})
    functions = boto3.client("lambda", config=once)
    cloud = cast("Cloud", SimpleNamespace(invoker=functions))
    signer = LambdaSigner(name, str(found.address), cloud, patience=Patience(attempts=1))

    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(SigningServiceUnavailable, match="busy") as caught:
        signer.sign_hash(HASH, Scheme.EIP191)
    assert caught.value.retryable

    functions.delete_function_concurrency(FunctionName=name)
    assert signer.sign_hash(HASH, Scheme.EIP191).address == found.address
