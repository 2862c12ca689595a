"""Keys of other accounts, partitions and Regions: named by their ARNs, pinned and signed with as they are."""

from __future__ import annotations

import base64
import json

import coincurve
import pytest

from bursar.chains.evm import Scheme
from bursar.errors import KmsKeyNotFound, KmsRegionMismatch, SignatureError
from bursar.kms.client import KmsClient
from bursar.signer import KmsSigner
from tests.fakes.kms_server import SPKI_PREFIX
from tests.unit.kms.test_client import ARN, SIGNED, Line, http

UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
PRIVATE = coincurve.PrivateKey(bytes(range(1, 33)))

PLACES = [
    ("us-east-1", f"arn:aws:kms:us-east-1:999988887777:key/{UUID}", "amazonaws.com"),
    ("eu-central-2", f"arn:aws:kms:eu-central-2:111122223333:key/{MRK}", "amazonaws.com"),
    ("us-gov-west-1", f"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{UUID}", "amazonaws.com"),
    ("cn-north-1", f"arn:aws-cn:kms:cn-north-1:111122223333:key/{UUID}", "amazonaws.com.cn"),
    ("eusc-de-east-1", f"arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/{UUID}", "amazonaws.eu"),
    ("xx-moon-9", f"arn:aws:kms:xx-moon-9:111122223333:key/{UUID}", "amazonaws.com"),
]


def answers(arn: str) -> Line:
    der = SPKI_PREFIX + PRIVATE.public_key.format(compressed=False)
    public = {"KeyId": arn, "KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY"}
    signature = PRIVATE.sign(bytes(range(32)), hasher=None)
    signed = {"KeyId": arn, "SigningAlgorithm": "ECDSA_SHA_256"}
    return Line(
        [
            http({**public, "PublicKey": base64_of(der)}),
            http({**signed, "Signature": base64_of(signature)}),
        ]
    )


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sent(line: Line) -> list[dict[str, str]]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in line.sent]


@pytest.mark.parametrize(("region", "arn", "suffix"), PLACES)
def test_a_key_is_pinned_and_used_by_its_whole_arn_in_its_own_place(
    region: str, arn: str, suffix: str
) -> None:
    line = answers(arn)
    signer = KmsSigner.open(line.client(region=region), arn)
    signer.sign_hash(bytes(range(32)), Scheme.RAW)
    assert signer.key.key_arn == arn
    assert [fields["KeyId"] for fields in sent(line)] == [arn, arn]
    assert f"\r\nhost: kms.{region}.{suffix}\r\n".encode() in line.sent[1]


@pytest.mark.parametrize("name", [UUID, "alias/treasury"])
def test_whatever_name_it_was_opened_by_its_arn_is_what_signs(name: str) -> None:
    line = answers(ARN)
    KmsSigner.open(line.client(), name).sign_hash(bytes(range(32)), Scheme.RAW)
    assert [fields["KeyId"] for fields in sent(line)] == [name, ARN]


def test_a_replica_is_a_key_of_its_own_region_and_is_found_by_the_id_they_share() -> None:
    primary = f"arn:aws:kms:us-east-1:111122223333:key/{MRK}"
    replica = primary.replace("us-east-1", "eu-west-1")
    line = answers(replica)
    kms: KmsClient = line.client(region="eu-west-1")
    with pytest.raises(KmsRegionMismatch, match="us-east-1"):
        KmsSigner.open(kms, primary)
    assert line.sent == []
    assert KmsSigner.open(kms, MRK).key.key_arn == replica


def test_a_key_of_another_account_without_its_arn_is_not_found_and_the_hint_says_so() -> None:
    line = Line([http({"__type": "NotFoundException", "message": "no"}, 400)])
    with pytest.raises(KmsKeyNotFound) as caught:
        line.client().get_public_key("alias/somebody-elses")
    assert "another account must be named by its ARN" in str(caught.value.hint)


def test_the_answer_to_one_partition_is_not_taken_in_another() -> None:
    gov = f"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{UUID}"
    answer = http({**SIGNED, "KeyId": gov})
    signer = KmsSigner(Line([answer]).client(), KmsSigner.open(answers(ARN).client(), ARN).key)
    with pytest.raises(SignatureError, match="not with the pinned"):
        signer.sign_hash(bytes(range(32)), Scheme.RAW)
