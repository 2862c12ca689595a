"""Starting the three servers of a sandbox, side by side, each as soon as what it needs is there."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.errors import SandboxError
from bursar.sandbox import aws
from bursar.sandbox.processes import HOST, Command, Keeper, Process, wait_until_ready
from bursar.sandbox.records import Place
from bursar.sandbox.setup import Tools

if TYPE_CHECKING:
    from bursar.sandbox.chain import Rpc

Report = Callable[[str], None]

START_SECONDS = 60.0
PROJECT = "sandbox"
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What it takes to start the servers. `rate_limit_scale` multiplies Crossmint's limits; 0 lifts them."""

    keeper: Keeper
    tools: Tools
    place: Place
    ports: dict[str, int]
    root: aws.RootKey
    api_key: str
    rate_limit_scale: float
    report: Report

    def start(self) -> dict[str, Process]:
        """Start all three and return them by name, when each answers.

        Raises:
            SandboxError: one does not come up; the others are stopped.
        """
        with ThreadPoolExecutor(2) as side_by_side:
            jobs = (self._aws, self._chain_and_crossmint)
            try:
                started = as_completed([side_by_side.submit(job) for job in jobs])
                return {name: process for job in started for name, process in job.result().items()}
            except BaseException:
                # The other job is waiting for its server, which now ends, and the job with it.
                self.keeper.stop()
                raise

    def _aws(self) -> dict[str, Process]:
        port, log = self.ports["aws"], self.place.log("aws")
        folder = self.place.state("aws")
        command = aws.command(self.tools.ministack, port, folder, self.root, log)
        process = self._start(command, lambda: aws.answers(port, log))
        self.report("AWS answers.")
        return {"aws": process}

    def _chain_and_crossmint(self) -> dict[str, Process]:
        from bursar.sandbox.chain import Artifacts, Rpc, anvil_command, deploy_contracts
        from bursar.sandbox.chain.deploy import first_account
        from bursar.sandbox.crossmint import ApiKey, StandInConfig

        port, folder = self.ports["chain"], self.place.state("chain")
        argv = anvil_command(self.tools.anvil, port, folder / "state.json")
        command = Command(
            "the chain (anvil)", argv, _environment(folder), folder, self.place.log("chain")
        )
        with Rpc(f"http://{HOST}:{port}") as rpc:
            chain = self._start(command, lambda: _is_a_chain(rpc))
            own = self.tools
            artifacts = Artifacts(own.entry_point_artifact, own.kernel_precompiles, own.compiled)
            contracts = deploy_contracts(rpc, artifacts)
            bundler = first_account(rpc)
        self.report("The chain answers, with its contracts.")
        config = StandInConfig(
            port=self.ports["crossmint"],
            rpc_url=rpc.url,
            contracts=contracts,
            bundler=bundler,
            api_keys=(ApiKey.model_validate({"key": self.api_key, "project": PROJECT}),),
            state_file=self.place.state("crossmint") / "state.sqlite",
            rate_limit_scale=self.rate_limit_scale,
        )
        config.write(self.place.crossmint_config)
        return {"chain": chain, "crossmint": self._crossmint()}

    def _crossmint(self) -> Process:
        port, folder = self.ports["crossmint"], self.place.state("crossmint")
        module = "bursar.sandbox.crossmint"
        argv = [sys.executable, "-m", module, "--config", str(self.place.crossmint_config)]
        env = _environment(folder)
        # A checkout on the import path, rather than installed, must be found by the stand-in too.
        if path := os.environ.get("PYTHONPATH"):
            env["PYTHONPATH"] = path
        command = Command("Crossmint's stand-in", argv, env, folder, self.place.log("crossmint"))
        process = self._start(command, lambda: _is_http(port))
        self.report("Crossmint's stand-in answers.")
        return process

    def _start(self, command: Command, answers: Callable[[], bool]) -> Process:
        process = self.keeper.run(command)
        wait_until_ready(process, command, answers, START_SECONDS)
        return process


def _environment(folder: Path) -> dict[str, str]:
    temporary = folder / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
    }


def _is_a_chain(rpc: Rpc) -> bool:
    try:
        return rpc.chain_id() > 0
    except SandboxError:
        return False


def _is_http(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
