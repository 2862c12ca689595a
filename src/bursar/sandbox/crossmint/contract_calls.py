"""The two ways a client writes a call: ready data, or a function of an ABI with JSON arguments."""

from __future__ import annotations

from typing import Any

from bursar.errors import InputError
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.crossmint import locators
from bursar.sandbox.crossmint.replies import Json, bad_request
from bursar.sandbox.crossmint.requests import AbiCall, RawCall


def build(wanted: RawCall | AbiCall) -> kernel.Call:
    """Return the call an account makes.

    Raises:
        ApiError: 400; a bad address or value, or arguments that do not fit the ABI.
    """
    value = int(wanted.value, 0) if wanted.value.startswith("0x") else int(wanted.value)
    if value >= 2**256:
        raise bad_request("Invalid call: the value does not fit 256 bits")
    if isinstance(wanted, RawCall):
        return kernel.Call(locators.address(wanted.to, "to"), value, bytes.fromhex(wanted.data[2:]))
    return kernel.Call(locators.address(wanted.address), value, _encode(wanted))


def to_json(call: kernel.Call) -> Json:
    """Return a call as `params.calls` shows it."""
    return {"to": call.to, "value": str(call.value), "data": "0x" + call.data.hex()}


def from_json(shown: Json) -> kernel.Call:
    """Return the call that `to_json` showed."""
    return kernel.Call(shown["to"], int(shown["value"]), bytes.fromhex(shown["data"][2:]))


def _encode(wanted: AbiCall) -> bytes:
    try:
        inputs = _inputs(wanted)
        types = [_type(parameter) for parameter in inputs]
        arguments = [_argument(kind, value) for kind, value in zip(types, wanted.args, strict=True)]
        return call_data(f"{wanted.functionName}({','.join(types)})", *arguments)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, InputError):
        raise bad_request("Invalid call: the arguments do not fit the ABI") from None


def _inputs(wanted: AbiCall) -> list[Any]:
    for entry in wanted.abi:
        is_function = entry.get("type", "function") == "function"
        if is_function and entry.get("name") == wanted.functionName:
            inputs: list[Any] = entry.get("inputs", [])
            if len(inputs) == len(wanted.args):
                return inputs
    raise KeyError(wanted.functionName)


def _type(parameter: Any) -> str:
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_type(component) for component in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _argument(kind: str, value: Any) -> Any:
    """Read a JSON argument: numbers may be decimal text and bytes are hex, as JSON has neither."""
    if isinstance(value, list):
        # Of a tuple's parts only the text matters: numbers as text and hex are read by their looks.
        part = kind[: kind.rindex("[")] if kind.endswith("]") else "?"
        return [_argument(part, item) for item in value]
    if isinstance(value, str) and "int" in kind:
        return int(value, 0)
    if isinstance(value, str) and kind.startswith("bytes"):
        return bytes.fromhex(value.removeprefix("0x"))
    return value
