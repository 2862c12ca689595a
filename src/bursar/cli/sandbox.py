"""`bursar sandbox`: AWS, a chain and Crossmint's stand-in on this machine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.shell import Shell, shared_options

if TYPE_CHECKING:
    from bursar.sandbox.world import Service

_name = click.option("--name", default="default", show_default=True, help="Which sandbox.")


@click.group("sandbox")
def command() -> None:
    """Run AWS, a chain and Crossmint's stand-in on this machine.

    Nothing of it leaves the machine, and nothing of it is worth anything. It listens on 127.0.0.1 only.
    """


@command.command("setup")
@shared_options
@click.pass_obj
def setup(shell: Shell) -> None:
    """Install what the sandbox is made of, under BURSAR_HOME; once.

    Uses pip and npm (fetched too where there is none), about a minute. Afterwards the sandbox needs no network.
    """
    from bursar.home import home
    from bursar.sandbox.setup import install

    with _progress(shell, "Setting the sandbox up") as (_, seconds):
        installed = install(shell.say)
    folder = str(home())
    result = {"installed": installed, "folder": folder, "seconds": seconds()}
    what = f"Installed {', '.join(installed)}" if installed else "Everything is there"
    shell.result(result, f"{what}, in {folder} ({seconds()} s)")


@command.command("up")
@_name
@click.option("--fresh", is_flag=True, help="Forget what the sandbox holds.")
@click.option("--foreground", is_flag=True, help="Stay, and stop all of it at Ctrl-C.")
@shared_options
@click.pass_obj
def up(shell: Shell, *, name: str, fresh: bool, foreground: bool) -> None:
    """Bring a sandbox up and return when all of it answers.

    What it holds (keys, functions, stacks, wallets, the chain) is kept from one `up` to the next; CloudTrail's
    event history is not. Sandboxes of different names run side by side.
    """
    from bursar.sandbox.world import World

    with _progress(shell, f"Bringing sandbox {name} up") as (report, seconds):
        world = World.up(name, fresh=fresh, hold=foreground, report=report)
    try:
        _show(shell, name, world.services(), seconds())
        if foreground:
            shell.say("Ctrl-C stops it.")
            world.wait()
            shell.say("Stopped.")
        else:
            shell.say(f'Point this shell at it: eval "$(bursar sandbox env{_option(name)})"')
    finally:
        if foreground:
            world.down()


@command.command("status")
@_name
@shared_options
@click.pass_obj
def status(shell: Shell, *, name: str) -> None:
    """Show what runs of a sandbox. Exits 1 unless all of it does."""
    from bursar.sandbox.world import status as look

    services = look(name)
    _show(shell, name, services)
    if not services or not all(service.running for service in services):
        raise click.exceptions.Exit(1)


@command.command("down")
@_name
@click.option("--forget", is_flag=True, help="Remove what it holds, too.")
@click.option("--yes", is_flag=True, help="Do not ask before removing.")
@shared_options
@click.pass_obj
def down(shell: Shell, *, name: str, forget: bool, yes: bool) -> None:
    """Stop a sandbox.

    What it holds (keys, functions, stacks, wallets, the chain, logs) is kept for the next `up`, unless --forget
    is given.
    """
    from bursar.sandbox.world import down as stop
    from bursar.sandbox.world import kept

    folder = kept(name)
    if forget and folder:
        shell.confirm(f"Remove all that sandbox {name} holds ({folder})?", yes=yes)
    with _progress(shell, f"Stopping sandbox {name}") as (_, seconds):
        stopped = stop(name, forget=forget)
    result = {"name": name, "stopped": stopped, "forgotten": forget and folder is not None}
    text = f"Stopped ({seconds()} s)" if stopped else f"Sandbox {name} was not up"
    if result["forgotten"]:
        text += f". Removed {folder}"
    shell.result({**result, "seconds": seconds()}, text)


@command.command("env")
@_name
@shared_options
@click.pass_obj
def env(shell: Shell, *, name: str) -> None:
    """Print the variables that point a shell at a sandbox: eval "$(bursar sandbox env)"."""
    from bursar.sandbox.aws import FOREIGN_VARIABLES
    from bursar.sandbox.world import World

    world = World.find(name)
    if shell.json:
        shell.result(world.environment)
        return
    click.echo(f"unset {' '.join(FOREIGN_VARIABLES)}")
    for variable, value in world.environment.items():
        click.echo(f"export {variable}={shlex.quote(value)}")


def _show(shell: Shell, name: str, services: list[Service], seconds: float | None = None) -> None:
    result: dict[str, Any] = {
        "name": name,
        "running": bool(services) and all(service.running for service in services),
        "services": [
            {
                "name": service.name,
                "url": service.url,
                "pid": service.pid,
                "running": service.running,
                "log": str(service.log),
            }
            for service in services
        ],
    }
    if seconds is not None:
        result["seconds"] = seconds
    shell.result(result, _table(services) if services else f"Sandbox {name} is not up")
    if services:
        shell.say(f"Logs are in {services[0].log.parent}")


def _table(services: list[Service]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("service", "address", "pid", "state"):
        table.add_column(column, overflow="fold")
    for service in services:
        state = "[green]up[/]" if service.running else "[red]ended[/]"
        table.add_row(service.name, service.url, str(service.pid), state)
    return table


@contextmanager
def _progress(
    shell: Shell, title: str
) -> Iterator[tuple[Callable[[str], None], Callable[[], float]]]:
    """Yield a function that shows a step, and one that says how long it has been, in seconds."""
    began = time.monotonic()
    with shell.waiting(f"{title} …") as show:
        yield show, lambda: round(time.monotonic() - began, 2)


def _option(name: str) -> str:
    return "" if name == "default" else f" --name {name}"
