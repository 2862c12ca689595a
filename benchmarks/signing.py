"""What a signature costs: bursar's KMS client next to boto3, in one run against a local KMS.

Both do the same afterwards: strict DER, low s, recovery id proved under the pinned key. The KMS stub runs
in a process of its own, on another core, so that CPU time is the client's alone. Rounds are interleaved and
the best of them counts: absolute times vary with the machine, ratios much less. TLS is off on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.kms import KmsClient
from bursar.signer import KmsSigner

ROOT = Path(__file__).parents[1]
Sign = Callable[[bytes], evm.Signature]


@dataclass(frozen=True)
class Target:
    """The stub's address and its one key."""

    url: str
    key_arn: str

    def environ(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
            "AWS_SECRET_ACCESS_KEY": "local-secret",
            "AWS_SESSION_TOKEN": "token" * 60,
            "KEY_ARN": self.key_arn,
        }


def pin(process: int, *, last: bool) -> None:
    """Give the client the first core and the stub the last, where the platform can."""
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(process))
        os.sched_setaffinity(process, {cores[-1 if last else 0]})


@contextmanager
def kms_stub() -> Iterator[Target]:
    command = [sys.executable, "-m", "tests.fakes.kms_server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pin(process.pid, last=True)
        pin(os.getpid(), last=False)
        try:
            yield Target(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def ours(target: Target) -> Sign:
    signer = KmsSigner.open(KmsClient.from_environment(environ=target.environ()), target.key_arn)
    return lambda digest: signer.sign_hash(digest, Scheme.RAW).signature


def with_boto3(target: Target, threads: int) -> Sign:
    environ = target.environ()
    kms = boto3.client(
        "kms",
        region_name=environ["AWS_REGION"],
        endpoint_url=target.url,
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
        config=Config(max_pool_connections=threads),
    )
    pinned = evm.parse_spki_der(kms.get_public_key(KeyId=target.key_arn)["PublicKey"])

    def sign(digest: bytes) -> evm.Signature:
        answer = kms.sign(
            KeyId=target.key_arn,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return evm.signature_from_kms(answer["Signature"], digest, pinned)

    return sign


@dataclass(frozen=True)
class Cost:
    """The best round: CPU microseconds per signature, and signatures per second of wall time."""

    cpu_us: float
    per_second: float


def one_round(sign: Sign, count: int, threads: int) -> Cost:
    digests = [number.to_bytes(32, "big") for number in range(1, count + 1)]
    with ThreadPoolExecutor(threads) as pool:
        cpu, wall = time.process_time(), time.perf_counter()
        done = len(list((map if threads == 1 else pool.map)(sign, digests)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert done == count
    return Cost(cpu * 1e6 / count, count / wall)


def best(rounds: list[Cost]) -> Cost:
    return Cost(min(one.cpu_us for one in rounds), max(one.per_second for one in rounds))


def warm(target: Target, count: int, rounds: int, threads: int) -> dict[tuple[str, int], Cost]:
    signers = {"bursar": ours(target), "boto3": with_boto3(target, threads)}
    cases = [(name, level) for level in (1, threads) for name in signers]
    found: dict[tuple[str, int], list[Cost]] = {case: [] for case in cases}
    for name, level in cases:
        one_round(signers[name], max(50, level * 4), level)
    for _ in range(rounds):
        for name, level in cases:
            found[name, level].append(one_round(signers[name], count, level))
    return {case: best(costs) for case, costs in found.items()}


SIGN_WITH_BURSAR = """
import os
from bursar.chains.evm import Scheme
from bursar.kms.client import KmsClient
from bursar.signer import KmsSigner
with KmsClient.from_environment() as kms:
    KmsSigner.open(kms, os.environ["KEY_ARN"]).sign_hash(bytes(range(32)), Scheme.RAW)
"""
SIGN_WITH_BOTO3 = """
import os
import boto3
from bursar.chains import evm
kms, arn, digest = boto3.client("kms"), os.environ["KEY_ARN"], bytes(range(32))
pinned = evm.parse_spki_der(kms.get_public_key(KeyId=arn)["PublicKey"])
answer = kms.sign(KeyId=arn, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
evm.signature_from_kms(answer["Signature"], digest, pinned)
"""
COLD = {
    "python alone": "pass",
    "import bursar.kms.client": "import bursar.kms.client",
    "import boto3": "import boto3",
    "bursar: one signature": SIGN_WITH_BURSAR,
    "boto3: one signature": SIGN_WITH_BOTO3,
}


def child_ms(code: str, environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def cold(target: Target, rounds: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in COLD}
    for _ in range(rounds):
        for name, code in COLD.items():
            found[name].append(child_ms(code, target.environ()))
    return {name: min(times) for name, times in found.items()}


def print_warm(costs: dict[tuple[str, int], Cost], threads: int) -> None:
    print(f"{'threads':>7}  {'':8}{'CPU us':>9}{'per s':>9}{'ratio':>8}")
    for level in (1, threads):
        ratio = costs["boto3", level].cpu_us / costs["bursar", level].cpu_us
        for name in ("bursar", "boto3"):
            cost = costs[name, level]
            times = "1.0x" if name == "bursar" else f"{ratio:.1f}x"
            print(f"{level:>7}  {name:8}{cost.cpu_us:>9.0f}{cost.per_second:>9.0f}{times:>8}")


def print_cold(times: dict[str, float]) -> None:
    print(f"\n{'whole process':26}{'CPU ms':>8}")
    for name, milliseconds in times.items():
        print(f"{name:26}{milliseconds:>8.0f}")
    ratio = times["boto3: one signature"] / times["bursar: one signature"]
    print(f"{'boto3 / bursar':26}{ratio:>7.1f}x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signatures", type=int, default=400, help="per round and client")
    parser.add_argument("--rounds", type=int, default=4, help="interleaved rounds; the best counts")
    parser.add_argument("--threads", type=int, default=16, help="the higher concurrency")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    with kms_stub() as target:
        costs = warm(target, options.signatures, options.rounds, options.threads)
        times = cold(target, options.rounds)
    if options.json:
        named = {f"{name} x{level}": vars(cost) for (name, level), cost in costs.items()}
        print(json.dumps({"warm": named, "cold_cpu_ms": times}, indent=2))
        return
    print_warm(costs, options.threads)
    print_cold(times)


if __name__ == "__main__":
    main()
