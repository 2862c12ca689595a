// Crossmint's own SDK against the stand-in: create a treasury wallet, send, approve, read back.
//
// Reads {url, apiKey, publicKey, recipient} as JSON on stdin; the last line of stdout is the outcome as JSON.
import bs58 from "bs58";
import nacl from "tweetnacl";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";

const input = JSON.parse(await new Response(process.stdin).text());

// The SDK checks an API key's signature under Crossmint's public key. The sandbox signs its keys with its own.
const verify = nacl.sign.detached.verify;
nacl.sign.detached.verify = (message, signature) => verify(message, signature, bs58.decode(input.publicKey));

// The SDK sends telemetry. Nothing leaves this machine.
const requests = [];
const realFetch = globalThis.fetch;
globalThis.fetch = async (resource, options) => {
  const url = new URL(resource instanceof Request ? resource.url : resource);
  if (url.hostname !== "127.0.0.1") {
    return new Response("{}", { status: 200, headers: { "content-type": "application/json" } });
  }
  const answer = await realFetch(resource, options);
  const method = options?.method ?? (resource instanceof Request ? resource.method : "GET");
  requests.push(`${method} ${url.pathname} ${answer.status}`);
  return answer;
};

const { createCrossmint, CrossmintWallets } = await import("@crossmint/wallets-sdk");

const key = privateKeyToAccount(generatePrivateKey());
const asked = [];
const recovery = {
  type: "external-wallet",
  address: key.address,
  onSign: async (message) => {
    asked.push(message);
    return key.signMessage({ message: { raw: message } });
  },
};

const wallets = CrossmintWallets.from(createCrossmint({ apiKey: input.apiKey, overrideBaseUrl: input.url }));
const wallet = await wallets.createWallet({
  chain: "base-sepolia",
  owner: "COMPANY",
  alias: input.alias,
  recovery,
});

const funding = await realFetch(`${input.url}/api/v1-alpha2/wallets/${wallet.address}/balances`, {
  method: "POST",
  headers: { "X-API-KEY": input.apiKey, "content-type": "application/json" },
  body: JSON.stringify({ amount: 10, token: "usdxm", chain: "base-sepolia" }),
});
if (funding.status !== 201) throw new Error(`funding: ${funding.status} ${await funding.text()}`);

await wallet.useSigner(recovery);
const sent = await wallet.send(input.recipient, "usdc", "1.25");

// An approval made elsewhere, as by a signer behind AWS KMS.
const prepared = await wallet.send(input.recipient, "usdc", "0.5", { prepareOnly: true });
const waiting = await wallet.transaction(prepared.transactionId);
const pending = waiting.approvals.pending[0];
const signature = await key.signMessage({ message: { raw: pending.message } });
const approved = await wallet.approve({
  transactionId: prepared.transactionId,
  options: { approval: { signer: pending.signer.locator, signature } },
});

const again = await wallets.getWallet(`evm:smart:alias:${input.alias}`, { chain: "base-sepolia", recovery });
const balances = await again.balances();

const outcome = {
  address: wallet.address,
  sameWallet: again.address === wallet.address,
  sent,
  approved,
  asked,
  requests,
  usdc: balances.usdc.amount,
};
process.stdout.write(`\n${JSON.stringify(outcome)}\n`, () => process.exit(0));
