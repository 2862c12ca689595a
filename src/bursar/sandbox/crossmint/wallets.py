"""POST and GET wallets: smart wallets whose address the chain's factory decides."""

from __future__ import annotations

import secrets

from eth_utils.crypto import keccak

from bursar.errors import InputError
from bursar.sandbox.chain import kernel
from bursar.sandbox.crossmint import locators, signer_objects
from bursar.sandbox.crossmint.locators import WalletLocator
from bursar.sandbox.crossmint.replies import Call, Json, Reply, bad_request, not_found, timestamp
from bursar.sandbox.crossmint.requests import CreateWallet, parse
from bursar.sandbox.crossmint.stand_in import StandIn

COMPANY = "COMPANY"


def create(stand_in: StandIn, call: Call) -> Reply:
    """Create a wallet: 201, or 200 with the one that is there.

    A user has one wallet for each alias. The company has one for each alias too, but without an alias every call
    makes another (schema description; the quickstart relies on the alias).
    """
    wanted = parse(CreateWallet, call.body)
    owner = _owner(wanted.owner)
    key = _identity(owner, wanted.alias)
    if key:
        existing = stand_in.store.find("wallet-identity", call.project, key)
        if existing:
            record = by_address(stand_in, call.project, existing["address"])
            return Reply(200, record["api"], ("wallet", existing["address"]))
    record = _new_record(stand_in, wanted, owner, call.project)
    address = record["api"]["address"]
    if stand_in.store.find("wallet", call.project, address):
        # The same creationSeed and signer give the same account.
        return Reply(200, by_address(stand_in, call.project, address)["api"], ("wallet", address))
    save(stand_in, call.project, record)
    if key:
        stand_in.store.save("wallet-identity", call.project, key, {"address": address})
    if owner and owner != COMPANY and not stand_in.store.find("user", call.project, owner):
        stand_in.store.save("user", call.project, owner, {"locator": owner})
    return Reply(201, record["api"], ("wallet", address))


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return a wallet."""
    return Reply(200, by_locator(stand_in, call)["api"])


def by_locator(stand_in: StandIn, call: Call) -> Json:
    """Return the record of the wallet a path names.

    Raises:
        ApiError: 400 for a locator that cannot be read, 404 for a wallet that is not this project's.
    """
    return resolve(stand_in, call.project, locators.wallet(call.path["wallet"]))


def resolve(stand_in: StandIn, project: str, locator: WalletLocator) -> Json:
    """Return the record a locator names.

    Raises:
        ApiError: 404.
    """
    if locator.address:
        return by_address(stand_in, project, locator.address)
    key = _identity(locator.owner or COMPANY, locator.alias)
    found = stand_in.store.find("wallet-identity", project, key) if key else None
    if found is None or not locator.evm_smart:
        raise not_found("Wallet")
    return by_address(stand_in, project, found["address"])


def by_address(stand_in: StandIn, project: str, address: str) -> Json:
    """Return the record of a wallet by its checksummed address.

    Raises:
        ApiError: 404.
    """
    record = stand_in.store.find("wallet", project, address)
    if record is None:
        raise not_found("Wallet")
    return record


def save(stand_in: StandIn, project: str, record: Json) -> None:
    """Keep a wallet's record."""
    stand_in.store.save("wallet", project, record["api"]["address"], record)


def signer_for(wallet: Json, locator: str | None) -> Json:
    """Return the signer a transaction asks for; the admin signer unless said otherwise.

    Raises:
        ApiError: 400; not a signer of this wallet, or not an approved one yet.
    """
    admin: Json = wallet["api"]["config"]["adminSigner"]
    if locator is None or locators.same(admin["locator"], locator):
        return admin
    for delegated in wallet.get("signers", []):
        if (
            locators.same(delegated["signer"]["locator"], locator)
            and delegated["status"] == "success"
        ):
            found: Json = delegated["signer"]
            return found
    raise bad_request("Invalid signer: it is not an approved signer of this wallet")


def account(stand_in: StandIn, project: str, admin: Json, seed: str) -> Json:
    """Return the record of the account this admin signer and seed give, with nothing but what the chain knows.

    Raises:
        ApiError: 400; a quorum that cannot be formed.
    """
    root = _root(stand_in, admin)
    salt = keccak(text=f"{project}/{seed}")
    found = kernel.account(stand_in.rpc, stand_in.contracts, root, salt)
    return {
        "api": {"address": found.address},
        "validator": root.validator,
        "factory": found.factory,
        "factoryData": "0x" + found.factory_data.hex(),
    }


def _owner(owner: str | None) -> str | None:
    return owner if owner in (None, COMPANY) else locators.user(str(owner))


def _identity(owner: str | None, alias: str | None) -> str | None:
    if owner is None or (owner == COMPANY and alias is None):
        return None
    return f"{owner}:evm:smart:alias:{alias}" if alias else f"{owner}:evm:smart"


def _new_record(stand_in: StandIn, wanted: CreateWallet, owner: str | None, project: str) -> Json:
    asked = wanted.config
    method = asked.adminSigner or next(iter(asked.recoveryMethods or []), None)
    if method is None:
        raise bad_request("Invalid request at config: adminSigner is required")
    admin = signer_objects.admin(method)
    config: Json = {"adminSigner": admin}
    if admin["type"] == "quorum":
        config["recoveryMethods"] = [admin]
    config["delegatedSigners"] = [
        signer_objects.from_input(delegated.signer) for delegated in wanted.config.delegatedSigners
    ]
    seed = wanted.config.creationSeed or _identity(owner, wanted.alias) or secrets.token_hex(32)
    record = account(stand_in, project, admin, seed)
    api: Json = record["api"]
    api |= {
        "chainType": "evm",
        "type": "smart",
        "config": config,
        "createdAt": timestamp(),
    }
    api |= {"owner": owner} if owner else {}
    api |= {"alias": wanted.alias} if wanted.alias else {}
    return record | {"project": project}


def _root(stand_in: StandIn, admin: Json) -> kernel.Root:
    try:
        if admin["type"] == "quorum":
            members = [locators.address(member["address"]) for member in admin["members"]]
            return kernel.Root.quorum(stand_in.contracts, admin["threshold"], members)
    except InputError as error:
        raise bad_request(str(error)) from None
    return kernel.Root.single(stand_in.contracts, signer_objects.account_of(admin))
