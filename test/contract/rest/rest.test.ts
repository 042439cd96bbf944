import { afterAll, beforeAll } from "vitest";
import { curlCases } from "./curl.cases.ts";
import { execCases } from "./exec.cases.ts";
import { execStreamCases } from "./exec-stream.cases.ts";
import { flyAdminCases } from "./fly-admin.cases.ts";
import { type Gateway, openGateway } from "./gateway.ts";
import { leaseCases } from "./lease.cases.ts";
import { lifecycleCases } from "./lifecycle.cases.ts";
import { machineCases } from "./machine.cases.ts";
import { transportCases } from "./transport.cases.ts";

/** A fleet starts beside the other contract tests. */
const FLEET_TIMEOUT_MS = 180_000;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway();
}, FLEET_TIMEOUT_MS);
afterAll(() => gateway?.close(), FLEET_TIMEOUT_MS);

curlCases(() => gateway);
transportCases(() => gateway);
machineCases(() => gateway);
lifecycleCases(() => gateway);
leaseCases(() => gateway);
execCases(() => gateway);
execStreamCases(() => gateway);
flyAdminCases(() => gateway);
