"""`bursar worker`: drive payouts, together with other workers at the same journal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.paying import VIA, WALLET
from bursar.cli.shell import Shell, shared_options
from bursar.errors import ConfigError, JournalError

if TYPE_CHECKING:
    from bursar.cli.office import Office
    from bursar.transfers.worker import Round
    from bursar.webhooks.verification import Delivery

# Seconds between looks for payouts that are done.
_LOOK = 5.0


@click.command("worker")
@WALLET
@VIA
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=16,
    show_default=True,
    help="How many transfers at once.",
)
@click.option(
    "--webhooks",
    metavar="HOST:PORT",
    help="Take Crossmint's webhooks there, at /crossmint, so that what landed is seen sooner.",
)
@shared_options
@click.pass_obj
def command(
    shell: Shell, *, wallet: str | None, via: str | None, concurrency: int, webhooks: str | None
) -> None:
    """Drive the wallet's payouts until it is stopped, by Ctrl-C or SIGTERM.

    Start as many as you like, on as many machines, at one PostgreSQL journal: they share the work and one budget
    of Crossmint's calls, and take over what one that died had in hand. It drives what somebody has said yes to,
    and nothing else.
    """
    from bursar.transfers.worker import Worker

    locator = connect.wallet_locator(shell, wallet)
    with (
        offices.office(shell, locator, via=via, concurrency=concurrency) as office,
        _until_stopped() as stop,
        _receiving(shell, office, webhooks),
    ):
        shell.say(f"worker {office.runner.crew.id}: wallet {office.treasury}")
        log = Log(shell, Ends(office))
        Worker(office.runner, office.treasury, concurrency).run(stop, log.tell)
    shell.say("stopped; what was under way goes on with another worker, or with the next start")


class Ends:
    """Marks payouts as done, now and then."""

    def __init__(self, office: Office) -> None:
        from bursar.payouts.book import PayoutBook

        self._book, self._treasury = PayoutBook(office.journal), office.treasury
        self._next = 0.0

    def look(self) -> list[str]:
        """Return the ids of payouts that are done since the last look. What cannot be written now is later."""
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + _LOOK
        try:
            return [each.id for each in self._book.finish_all(self._treasury)]
        except JournalError:
            return []


class Log:
    """Says what rounds did, where they did anything, and an error once."""

    def __init__(self, shell: Shell, ends: Ends) -> None:
        self._shell, self._ends, self._last = shell, ends, ""

    def tell(self, round_: Round) -> None:
        """Say what a round did, and which payouts are done."""
        error = round_.error.message if round_.error else ""
        if error and error != self._last:
            self._shell.say(f"waiting: {error}")
        if self._last and not error:
            self._shell.say("going on")
        self._last = error
        if round_.taken_over:
            self._shell.say(f"took over {round_.taken_over} transfers of a process that died")
        if round_.begun_anew:
            self._shell.say(f"began {round_.begun_anew} transfers anew")
        for each in self._ends.look():
            self._shell.say(f"payout {each} is done")


@contextmanager
def _receiving(shell: Shell, office: Office, where: str | None) -> Iterator[None]:
    """Take webhooks, if any are to be taken. A proxy in front of it has the certificate."""
    if where is None:
        yield
        return
    from bursar.webhooks.app import WebhookReceiver, serve, webhook_app
    from bursar.webhooks.memory import DeliveryMemory
    from bursar.webhooks.verification import WebhookVerifier

    secrets = shell.config.crossmint.webhook_secrets
    if secrets is None:
        raise ConfigError(
            "there is no secret to know Crossmint's webhooks by",
            hint="set BURSAR_CROSSMINT_WEBHOOK_SECRETS to the endpoint's whsec_…, from Crossmint's console",
        )
    verifier = WebhookVerifier(*secrets.get_secret_value().split())
    memory = DeliveryMemory.open(office.journal.engine)
    host, _, port = where.rpartition(":")
    if not port.isdecimal():
        raise ConfigError(f"{where!r} is no HOST:PORT", hint="like 127.0.0.1:8787")
    receiver = WebhookReceiver(verifier, memory, lambda each: _hurry(office, each))
    with serve(webhook_app(receiver), host or "127.0.0.1", int(port)) as server:
        shell.say(f"webhooks: {server.url}/crossmint")
        yield


def _hurry(office: Office, delivery: Delivery) -> None:
    """Have whoever waits for this transfer look now. Nothing that a delivery says is taken for true."""
    if delivery.transfer is None:
        return
    found = office.journal.by_transaction(office.treasury, delivery.transfer)
    if found is not None:
        office.runner.hurry(found)


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {each: signal.signal(each, lambda *_: stop.set()) for each in _SIGNALS}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
