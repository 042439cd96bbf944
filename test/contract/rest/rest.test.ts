import { afterAll, beforeAll } from "vitest";
import { bodyCases } from "./cases/body.cases.ts";
import { curlCases } from "./cases/curl.cases.ts";
import { errorCases } from "./cases/error.cases.ts";
import { execCases } from "./cases/exec.cases.ts";
import { execStreamCases } from "./cases/exec-stream.cases.ts";
import { flyAdminCases } from "./cases/fly-admin.cases.ts";
import { insideCases } from "./cases/inside.cases.ts";
import { leaseCases } from "./cases/lease.cases.ts";
import { lifecycleCases } from "./cases/lifecycle.cases.ts";
import { listCases } from "./cases/list.cases.ts";
import { machineCases } from "./cases/machine.cases.ts";
import { transportCases } from "./cases/transport.cases.ts";
import { updateCases } from "./cases/update.cases.ts";
import { waitCases } from "./cases/wait.cases.ts";
import { openRestFleet, type RestFleet } from "./rest-fleet.ts";

/** A fleet starts beside the other contract tests. */
const FLEET_TIMEOUT_MS = 180_000;

let rest: RestFleet;
beforeAll(async () => {
  rest = await openRestFleet();
}, FLEET_TIMEOUT_MS);
afterAll(() => rest?.close(), FLEET_TIMEOUT_MS);

curlCases(() => rest);
transportCases(() => rest);
machineCases(() => rest);
listCases(() => rest);
bodyCases(() => rest);
updateCases(() => rest);
errorCases(() => rest);
lifecycleCases(() => rest);
waitCases(() => rest);
leaseCases(() => rest);
execCases(() => rest);
execStreamCases(() => rest);
flyAdminCases(() => rest);
insideCases(() => rest);
