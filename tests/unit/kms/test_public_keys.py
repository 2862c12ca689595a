from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bursar.errors import ConfigError, KmsProtocolError, KmsThrottled, KmsUnavailable
from bursar.kms.public_keys import PublicKeys
from bursar.kms.wire import KmsPublicKey

PREFIX = "arn:aws:kms:us-east-1:111122223333:key/"
ONE = PREFIX + "1234abcd-12ab-34cd-56ef-1234567890ab"
TWO = PREFIX + "22222222-12ab-34cd-56ef-1234567890ab"


def answer(arn: str) -> KmsPublicKey:
    return KmsPublicKey(arn, b"spki", "ECC_SECG_P256K1", "SIGN_VERIFY")


class Kms:
    """Answers by name, counts, and can hold its answers back until `go`."""

    def __init__(self, **aliases: str) -> None:
        self.targets = {f"alias/{alias}": arn for alias, arn in aliases.items()}
        self.asked: list[str] = []
        self.fails: list[BaseException] = []
        self.go = threading.Event()
        self.go.set()

    def fetch(self, key_id: str) -> KmsPublicKey:
        self.asked.append(key_id)
        assert self.go.wait(10)
        if self.fails:
            raise self.fails.pop()
        return answer(self.targets.get(key_id, key_id if ":" in key_id else PREFIX + key_id))


def test_a_key_arn_is_asked_once() -> None:
    kms = Kms()
    keys = PublicKeys(kms.fetch)
    assert [keys.get(ONE), keys.get(ONE)] == [answer(ONE)] * 2
    assert kms.asked == [ONE]


def test_what_an_alias_led_to_is_known_by_its_arn_and_the_alias_is_asked_again() -> None:
    kms = Kms(treasury=ONE)
    keys = PublicKeys(kms.fetch)
    assert keys.get("alias/treasury") == keys.get(ONE) == answer(ONE)
    kms.targets["alias/treasury"] = TWO
    assert keys.get("alias/treasury") == answer(TWO)
    assert kms.asked == ["alias/treasury", "alias/treasury"]


@pytest.mark.parametrize("name", [ONE, "alias/treasury"])
def test_a_hundred_callers_at_once_share_one_call(name: str) -> None:
    kms = Kms(treasury=ONE)
    kms.go.clear()
    keys = PublicKeys(kms.fetch)
    ready = threading.Barrier(101)

    def get() -> KmsPublicKey:
        ready.wait(10)
        return keys.get(name)

    with ThreadPoolExecutor(100) as threads:
        jobs = [threads.submit(get) for _ in range(100)]
        ready.wait(10)
        threading.Timer(0.05, kms.go.set).start()
        assert {job.result() for job in jobs} == {answer(ONE)}
    assert kms.asked == [name]


def test_a_failure_reaches_all_who_waited_and_is_not_kept() -> None:
    kms = Kms()
    kms.go.clear()
    kms.fails = [KmsThrottled("slow down")]
    keys = PublicKeys(kms.fetch)
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(keys.get, ONE) for _ in range(8)]
        threading.Timer(0.05, kms.go.set).start()
        failed = [job for job in jobs if isinstance(job.exception(), KmsThrottled)]
    assert failed
    assert keys.get(ONE) == answer(ONE)


def test_who_waits_for_an_interrupted_call_is_told_and_may_ask_again() -> None:
    kms = Kms()
    kms.go.clear()
    kms.fails = [KeyboardInterrupt()]
    keys = PublicKeys(kms.fetch)
    caught: list[BaseException] = []

    def first() -> None:
        try:
            keys.get(ONE)
        except BaseException as error:  # noqa: BLE001  the interrupt is what is looked at
            caught.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    while not kms.asked:
        pass
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(keys.get, ONE)
        threading.Timer(0.05, kms.go.set).start()
        error = waiting.exception()
    thread.join()
    assert isinstance(caught[0], KeyboardInterrupt)
    assert isinstance(error, KmsUnavailable) or kms.asked == [ONE, ONE]
    assert keys.get(ONE) == answer(ONE)


@pytest.mark.parametrize("name", [ONE, ONE.removeprefix(PREFIX)])
def test_an_answer_about_another_key_is_refused(name: str) -> None:
    with pytest.raises(KmsProtocolError, match="another key"):
        PublicKeys(lambda _: answer(TWO)).get(name)


def test_a_key_id_leads_to_its_arn() -> None:
    assert PublicKeys(Kms().fetch).get(ONE.removeprefix(PREFIX)) == answer(ONE)


def test_what_is_not_a_name_is_not_asked() -> None:
    kms = Kms()
    with pytest.raises(ConfigError):
        PublicKeys(kms.fetch).get("treasury")
    assert kms.asked == []
