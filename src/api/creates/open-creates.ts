import { randomBytes, randomInt } from "node:crypto";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { Stack } from "../../lib/runtime/lifecycle.ts";
import type { Transactions } from "../database/gated-database.ts";
import { makeMachineName } from "../requests/names.ts";
import { CreateRunner } from "./create-runner.ts";
import { Creates, type CreatesParts } from "./creates.ts";
import type { CreateTools } from "./saga/create-tools.ts";
import { createSaga } from "./saga/steps.ts";
import { IntentStore } from "./store/intent-store.ts";
import { SagaStore } from "./store/saga-store.ts";

export interface OpenCreatesParts extends Pick<CreatesParts, "machines" | "leases" | "slots" | "shares"> {
  readonly database: Transactions;
  readonly clock: Clock;
  readonly tools: Omit<CreateTools, "random">;
}

export interface OpenedCreates {
  readonly creates: Creates;
  readonly runner: CreateRunner;
  readonly sagas: SagaStore;
}

/** Opens the creates of an api: their stores, and the runner of their sagas. */
export function openCreates(
  { database, clock, tools, ...parts }: OpenCreatesParts,
  stack: Stack,
): OpenedCreates {
  const sagas = new SagaStore(database);
  const random = () => BigInt(`0x${randomBytes(5).toString("hex")}`) >> 4n;
  const runner = new CreateRunner(createSaga({ ...tools, random }), sagas, clock);
  stack.add("creates", () => runner.close());
  const makeName = () => makeMachineName((below) => randomInt(below));
  const intents = new IntentStore(database);
  return { creates: new Creates({ intents, sagas, runner, makeName, ...parts }), runner, sagas };
}
