"""`bursar demo`: the whole path on this machine, with the commands a user would run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bursar.amounts import to_base_units, to_decimal_text
from bursar.cli.shell import Shell, printable, shared_options
from bursar.errors import SandboxError, SigningServiceRefused

if TYPE_CHECKING:
    from bursar.sandbox.world import World

AMOUNT = "25.00"
MOST = "50.00"
DECIMALS = 6
POLICY = "policy.toml"
TREASURER = "arn:aws:iam::000000000000:user/treasury-app"
_SHOWN = ("callers.allow", "tokens.usdc", "recipients.allow", "limits[usdc, 1 day]")
COMMAND_SECONDS = 120
_WORKING = {
    ("aws", "deploy"): "CloudFormation creates the key, the role, the function and the API",
    ("transfer", "sign"): "the API asks the function, the function asks KMS",
    ("transfer", "approve"): "the bundler takes the user operation to the EntryPoint",
}


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the sandbox running afterwards.")
@click.option("--name", default="demo", show_default=True, help="Which sandbox; it starts empty.")
@shared_options
@click.pass_obj
def command(shell: Shell, *, keep: bool, name: str) -> None:
    """Watch a KMS-held key pay a recipient out of a treasury wallet, all on this machine.

    Brings a fresh sandbox up, walks the guide's seven steps with bursar's own commands, under a policy, then shows
    five refusals. Exits 0 only if exactly the amount moved on chain and all five were refused.
    """
    from bursar.sandbox.world import World

    began = time.monotonic()
    with shell.waiting("bringing the sandbox up: AWS, a chain, Crossmint's stand-in"):
        world = World.up(name, fresh=True, hold=not keep)
    try:
        story = Story(shell, world)
        evidence = story.tell(time.monotonic() - began)
    finally:
        if not keep:
            world.down()
    evidence["seconds"] = round(time.monotonic() - began, 1)
    shell.result(
        evidence,
        f"\nDone in {evidence['seconds']} s. {_closing(name if keep else None)}",
    )


def _closing(kept: str | None) -> str:
    if kept:
        return (
            f'Still running: eval "$(bursar sandbox env --name {kept})" and try the commands above.'
        )
    return "Next: docs/tutorial.md walks the same commands one by one."


@dataclass
class Story:
    """Runs bursar's commands in processes of their own, shows each with its evidence, and keeps the evidence."""

    shell: Shell
    world: World
    evidence: dict[str, Any] = field(default_factory=dict)

    def tell(self, seconds_up: float) -> dict[str, Any]:
        """Walk the seven steps and the five refusals; return the evidence.

        Raises:
            SandboxError: a step failed, the wrong amount moved, or something was not refused.
        """
        self._line(f"[dim]sandbox up in {seconds_up:.1f} s · nothing leaves this machine[/]")
        recipient = self._register("ada@example.com", "Ada", "Lovelace")
        outputs = self._deploy_the_signer(self._write_the_policy(recipient))
        wallet = self._create_the_wallet()
        treasurer = self._caller("treasury-app", outputs["InvokePolicyArn"])
        treasurer["BURSAR_SIGNER_API_URL"] = outputs["ApiUrl"]
        self._pay(wallet, recipient, treasurer)
        self._show_the_record(outputs["KeyArn"])
        self._be_refused(outputs["ApiUrl"])
        self._be_refused_by_review_and_policy(recipient, treasurer)
        return self.evidence

    def _write_the_policy(self, recipient: str) -> str:
        self._heading("First", "what the key may sign: a file that will lie behind its door")
        file = str(self.world.place.folder / POLICY)
        rules = ("--per-transfer", MOST, "--per-day", "100.00", "--caller", TREASURER)
        self._run("policy", "new", "--recipient", f"ada={recipient}", *rules, "--output", file)
        checked = self._run("policy", "check", file)
        self._facts(
            **{each["rule"]: each["text"] for each in checked["rules"] if each["rule"] in _SHOWN}
        )
        self.evidence["policy"] = checked["hash"]
        return file

    def _deploy_the_signer(self, policy: str) -> dict[str, str]:
        self._heading(
            "Steps 1, 2 and 4", "the key in KMS, the role that may use it, the function and its API"
        )
        deployed = self._run("aws", "deploy", "--policy", policy, "--yes")
        outputs: dict[str, str] = deployed["outputs"]
        key = self._run("key", "show")
        self._facts(
            key=(outputs["KeyArn"], f"{key['key_spec']}; the private key never leaves KMS"),
            address=(key["address"], "derived from the public key"),
            role=(outputs["RoleArn"], "may kms:Sign with this one key"),
            api=(outputs["ApiUrl"], "POST; IAM-signed calls only"),
        )
        self.evidence |= {"key_arn": outputs["KeyArn"], "address": key["address"]}
        self.evidence["api_url"] = outputs["ApiUrl"]
        return outputs

    def _create_the_wallet(self) -> str:
        self._heading("Step 3", "a Crossmint treasury wallet whose only admin signer is that key")
        wallet = self._run("wallet", "create", "--yes")
        self._run("wallet", "fund", "100")
        self._facts(
            wallet=(wallet["address"], "a smart account (Kernel), deployed by its first payment"),
            signer=wallet["admin_signer"],
            balance=f"{self._balance(wallet['address'])} USDC on chain",
        )
        self.evidence["wallet"] = wallet["address"]
        return str(wallet["address"])

    def _register(self, email: str, first: str, last: str) -> str:
        person = ("--first-name", first, "--last-name", last, "--born", "1990-12-10")
        registered = self._run("recipient", "register", email, *person, "--country", "GB")
        return str(registered["address"])

    def _pay(self, wallet: str, recipient: str, treasurer: Mapping[str, str]) -> None:
        before = self._units(wallet), self._units(recipient)
        self._heading(
            "Step 5", "start a regulated transfer: Crossmint screens the recipient and waits"
        )
        payment = ("--to", recipient, "--amount", AMOUNT)
        transfer_id = f"demo-{time.time_ns()}"
        started = self._run("transfer", "start", *payment, "--id", transfer_id)
        transaction = started["transaction_id"]
        self._facts(transaction=transaction, status=started["status"], hash=started["message"])

        self._heading(
            "Step 6", "an IAM user who may call the API asks; the signer looks, and asks its policy"
        )
        signed = self._run("transfer", "sign", transaction, *payment, by=treasurer)
        self._facts(
            reviewed=signed["review"],
            allowed_by=(signed["policy"], f"receipt {signed['receipt'][:24]}…"),
            digest=(signed["digest"], "that hash under EIP-191"),
            signature=_short(signed["signature"]),
            signed_by=(signed["signed_by"], "recovered from the signature before it was used"),
            request=f"{signed['signing_request_id']} at KMS",
        )

        self._heading(
            "Step 7", "hand the approval in; the EntryPoint contract judges the signature"
        )
        landed = self._run("transfer", "approve", transaction, "--signature", signed["signature"])
        moved = self._units(recipient) - before[1]
        self._facts(
            status=landed["status"],
            transaction=landed["chain_transaction"],
            treasury=f"{_text(before[0])} → {self._balance(wallet)} USDC",
            recipient=f"{_text(before[1])} → {self._balance(recipient)} USDC",
        )
        asked = to_base_units(AMOUNT, DECIMALS)
        if (moved, before[0] - self._units(wallet)) != (asked, asked):
            raise SandboxError(f"{_text(moved)} USDC reached the recipient, not {AMOUNT}")
        self.evidence |= {
            "transaction_id": transaction,
            "message": started["message"],
            "digest": signed["digest"],
            "signature": signed["signature"],
            "signing_request_id": signed["signing_request_id"],
            "chain_transaction": landed["chain_transaction"],
            "recipient": recipient,
            "moved": _text(moved),
        }

    def _show_the_record(self, key_arn: str) -> None:
        from bursar.sandbox.callers import recorded_signatures

        records = recorded_signatures(self.world.environment, key_arn)
        if [record["requestID"] for record in records] != [self.evidence["signing_request_id"]]:
            raise SandboxError(
                f"CloudTrail holds {len(records)} signatures of the key, not just ours"
            )
        session = records[0]["userIdentity"]["accessKeyId"]
        self._facts(
            cloudtrail=(
                "one kms:Sign with this key: that request",
                f"by the function's session {session}",
            )
        )
        self.evidence["cloudtrail_event"] = records[0]["eventID"]
        checked = self._run("audit", "verify")
        if not checked["sound"] or checked["counts"]["signatures"] != 1:
            raise SandboxError("the ledger does not account for exactly that signature")
        self._facts(
            ledger=(f"sound, head {checked['head'][:24]}…", "checked offline, receipt by receipt")
        )

    def _be_refused(self, api_url: str) -> None:
        self._heading("Refused", "five things that must not work")
        self._refuse_unsigned(api_url)
        mallory = {**self._caller("mallory", None), "BURSAR_SIGNER_API_URL": api_url}
        refusal = self._run(
            *("sign", "--hash", "0x" + "11" * 32, "--address", self.evidence["address"]),
            by=mallory,
            refused=True,
        )
        self._refusal("a caller without permission", refusal, "signing_service_denied")
        sam = self._register("sam@example.com", "Sam", "Sanctioned")
        refusal = self._run("transfer", "start", "--to", sam, "--amount", "1.00", refused=True)
        self._refusal("a recipient who fails screening", refusal, "recipient_person_sanctioned")

    def _be_refused_by_review_and_policy(
        self, recipient: str, treasurer: Mapping[str, str]
    ) -> None:
        started = self._run("transfer", "start", "--to", recipient, "--amount", "2.00")
        self._alter_the_next_answer()
        self._line(f"[dim]$ POST {self.evidence['api_url']}  # what came back, with its request[/]")
        found = self._ask_the_signer_about(started["transaction_id"], recipient, treasurer)
        self._refusal("Crossmint's answer was altered", found, "intent_mismatch")
        over = ("--to", recipient, "--amount", "60.00")
        started = self._run("transfer", "start", *over)
        refusal = self._run(
            "transfer", "sign", started["transaction_id"], *over, by=treasurer, refused=True
        )
        self._refusal(
            "more than the policy lets one transfer move", refusal, "signing_service_refused"
        )

    def _alter_the_next_answer(self) -> None:
        import httpx2

        fault = {"operation": "transactions.get", "kind": "tamper", "tamper": "recipient"}
        url = f"{self.world.environment['BURSAR_CROSSMINT_URL']}/_sandbox/faults"
        httpx2.post(url, json=fault, trust_env=False, timeout=30).raise_for_status()

    def _ask_the_signer_about(
        self, transaction_id: str, recipient: str, treasurer: Mapping[str, str]
    ) -> dict[str, Any]:
        """Ask as a caller would who looks at nothing: what refuses is the signer itself."""
        from bursar.review.intent import Intent, Token
        from bursar.sandbox.careless import ask

        token = Token(self.world.contracts.usdc, "USDC", DECIMALS)
        intent = Intent("base-sepolia", token, recipient, to_base_units("2.00", DECIMALS))
        environment, address = self.world.environment, self.evidence["address"]
        try:
            ask(environment, treasurer, transaction_id, intent, address=address)
        except SigningServiceRefused as refusal:
            return {"code": refusal.reason, "message": refusal.message}
        return {"message": "it was signed"}

    def _refuse_unsigned(self, api_url: str) -> None:
        import httpx2

        self._line(f"[dim]$ curl -X POST {api_url}[/]")
        status = httpx2.post(api_url, json={}, trust_env=False, timeout=30).status_code
        found = {"code": f"http_{status}", "message": f"HTTP {status}"}
        self._refusal("an unsigned call to the API", found, "http_403")

    def _refusal(self, what: str, found: Mapping[str, Any], wanted: str) -> None:
        if found.get("code") != wanted:
            raise SandboxError(f"{what} was not refused as it should be: {found.get('message')}")
        self._line(f"  [green]✓[/] {what}: [bold]{_plain(found['message'])}[/]")
        self.evidence.setdefault("refused", []).append({"what": what, "code": wanted})

    def _caller(self, name: str, policy_arn: str | None) -> dict[str, str]:
        from bursar.sandbox.callers import create_caller

        return create_caller(self.world.environment, name, policy_arn=policy_arn)

    def _run(
        self, *arguments: str, by: Mapping[str, str] | None = None, refused: bool = False
    ) -> dict[str, Any]:
        """Run a bursar command as a process, as `by` where given; return its JSON, or the error if `refused`."""
        self._line(f"[dim]$ {_plain(_command_line(arguments))}[/]")
        with (
            self.shell.waiting(f"bursar {arguments[0]} …")
            if self.shell.err.is_terminal
            else _still()
        ):
            done = subprocess.run(  # noqa: S603  our own interpreter and our own arguments
                [sys.executable, "-P", "-m", "bursar", "--json", *arguments],
                env={**_inherited(), **self.world.environment, **(by or {})},
                capture_output=True,
                text=True,
                check=False,
                timeout=COMMAND_SECONDS,
            )
        try:
            data: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SandboxError(
                f"bursar {arguments[0]} {arguments[1]} broke: {done.stderr.strip()[-600:]}"
            ) from None
        if refused:
            return dict(data.get("error", {"message": "it was allowed"}))
        if done.returncode:
            error = data.get("error", {})
            raise SandboxError(
                f"bursar {arguments[0]} {arguments[1]}: {error.get('message')}",
                hint=error.get("hint"),
            )
        return data

    def _units(self, account: str) -> int:
        from bursar.sandbox.chain import Rpc, Token

        with Rpc(self.world.environment["BURSAR_CHAIN_RPC_URL"]) as rpc:
            return Token(rpc, self.world.contracts.usdc).balance_of(account)

    def _balance(self, account: str) -> str:
        return _text(self._units(account))

    def _heading(self, step: str, what: str) -> None:
        self._line(f"\n[bold cyan]{step}[/] · {what}")

    def _facts(self, **facts: Any) -> None:
        """Print names and values; a value may be a pair of value and remark."""
        for name, fact in facts.items():
            value, remark = fact if isinstance(fact, tuple) else (fact, None)
            self._line(f"  [dim]{_plain(name.replace('_', ' ')):<12}[/]  {_plain(value)}")
            if remark:
                self._line(f"  [dim]{'':<12}  {_plain(remark)}[/]")

    def _line(self, text: str) -> None:
        if not self.shell.json:
            self.shell.out.print(text)


def _text(units: int) -> str:
    return to_decimal_text(units, DECIMALS)


def _short(text: str) -> str:
    """Return a long hex value by its two ends; the whole is in `--json`."""
    return text if len(text) <= 70 else f"{text[:34]}…{text[-32:]}"


def _command_line(arguments: tuple[str, ...]) -> str:
    """Return the command as a person would type it, an option a line where it is long."""
    line = "bursar " + shlex.join(_short(argument) for argument in arguments)
    return line if len(line) <= 78 else line.replace(" --", " \\\n      --")


def _plain(value: Any) -> str:
    """Return what another program said as plain text within our own markup."""
    from rich.markup import escape

    return escape(printable(str(value)).plain)


def _inherited() -> dict[str, str]:
    """Return our environment without the settings and credentials that could point elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BURSAR_"))}
    return {**kept, **{k: v for k, v in os.environ.items() if k == "BURSAR_HOME"}}


def _still() -> Any:
    from contextlib import nullcontext

    return nullcontext()
