"""The tutorial, run as it is written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from bursar.sandbox.world import World

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial.md"
ASKS = ("aws deploy", "wallet create", "transfer send")
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in BLOCK.findall(TUTORIAL.read_text()) for line in block.splitlines()]
    ours = [line.split("  #")[0].strip() for line in lines if line.startswith("bursar ")]
    return [line for line in ours if not line.startswith("bursar sandbox")]


def test_every_command_of_the_tutorial_does_what_it_says(world: World, tmp_path: Path):
    found: dict[str, str] = {}
    done: list[str] = []
    for line in commands():
        command = line
        for placeholder, value in found.items():
            command = command.replace(placeholder, value)
        words = shlex.split(command)[1:]
        if command.removeprefix("bursar ").startswith(ASKS):
            words.append("--yes")
        ran = subprocess.run(
            [sys.executable, "-m", "bursar", "--json", *words],
            env={**os.environ, **world.environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        answer = json.loads(ran.stdout)
        done.append(f"{command} → {ran.returncode}")
        if "1.00" in words or {"sign", "60.00"} <= set(words):
            assert ran.returncode == 3, done
            continue
        assert ran.returncode == 0, (done, answer)
        if "register" in words:
            found["0xSAMS_ADDRESS" if "Sam" in words else "0xADDRESS"] = answer["address"]
        if "start" in words:
            found["TRANSACTION_ID"] = answer["transaction_id"]
        if "sign" in words:
            found["0x…"] = answer["signature"]
        if "send" in words or "approve" in words:
            assert answer["status"] == "success"
    assert len(done) >= 15
