// Answers a JSON list of questions about AWS policies with a JSON list of what the simulator says, in one process.
// Started in the folder that has the simulator; a question it cannot judge gets `error`, never a verdict.
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const require = createRequire(join(process.cwd(), "package.json"));
const { anonymousPrincipal, runSimulation } = require("@cloud-copilot/iam-simulate");
// Not of its interface, and pinned with it: the engine behind the checks of the input.
const inside = (path) => require(join(process.cwd(), "node_modules/@cloud-copilot/iam-simulate/dist/cjs", path));
const { authorize } = inside("core_engine/CoreSimulatorEngine.js");
const { AwsRequestImpl } = inside("request/request.js");
const { RequestContextImpl } = inside("requestContext.js");
const { DiscoveryContextKeyConstraints } = inside("context_keys/discoveryContextKeyConstraints.js");
const { loadPolicy } = createRequire(require.resolve("@cloud-copilot/iam-simulate"))("@cloud-copilot/iam-policy");

const named = (documents) => documents.map((policy, index) => ({ name: `policy-${index}`, policy }));

function simulation(question) {
  const { principal, action, resource, account, context } = question;
  return {
    request: {
      principal: principal === "anonymous" ? anonymousPrincipal : principal,
      action,
      resource: { resource, accountId: account },
      contextVariables: context,
    },
    identityPolicies: named(question.identity),
    resourcePolicy: question.resourcePolicy ?? undefined,
    vpcEndpointPolicies: question.endpointPolicy ? named([question.endpointPolicy]) : undefined,
    permissionBoundaryPolicies: question.boundary ? named([question.boundary]) : undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
}

// The simulator refuses what the service authorization reference does not list: the ARN of an API's root resource,
// which ends in a slash, and lambda:SourceFunctionArn, which AWS adds to every request made with a function's role.
function unlisted(question) {
  const { request, identityPolicies, resourcePolicy, vpcEndpointPolicies } = simulation(question);
  const load = ({ name, policy }) => loadPolicy(policy, { name });
  const done = authorize({
    request: new AwsRequestImpl(
      request.principal,
      request.resource,
      request.action,
      new RequestContextImpl(request.contextVariables),
    ),
    identityPolicies: identityPolicies.map(load),
    resourcePolicy: resourcePolicy && load({ name: "resource", policy: resourcePolicy }),
    vpcEndpointPolicies: vpcEndpointPolicies?.map(load),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    simulationParameters: {
      simulationMode: "Strict",
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]),
    },
    serviceSettings: { s3: {} },
  });
  return { verdict: done.result };
}

async function answer(question) {
  if (question.unlisted) return unlisted(question);
  const done = await runSimulation(simulation(question), {});
  if (done.resultType !== "single") return { error: JSON.stringify(done.errors ?? done.resultType) };
  return { verdict: done.overallResult, ignored: done.result.ignoredContextKeys };
}

let text = "";
for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
const questions = JSON.parse(text);
const answers = [];
for (const question of questions) answers.push(await answer(question).catch((problem) => ({ error: String(problem) })));
process.stdout.write(JSON.stringify(answers));
