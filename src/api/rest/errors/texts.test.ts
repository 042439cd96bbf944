import { expect, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import { errorAnswer } from "./answer.ts";

const MEMORY = "could not reserve resource for machine: insufficient memory available to fulfill request";
const CPUS = "could not reserve resource for machine: insufficient CPUs available to fulfill request";

test.each([
  [{ asked_cpus: "1", free_cpus: "8", asked_memory_mb: "512", free_memory_mb: "256" }, MEMORY],
  [{ asked_cpus: "9", free_cpus: "8", asked_memory_mb: "512", free_memory_mb: "256" }, MEMORY],
  [{ asked_cpus: "9", free_cpus: "8", asked_memory_mb: "256", free_memory_mb: "256" }, CPUS],
  [{}, MEMORY],
])("a lack of room says of what: %j", (facts, text) => {
  const fault = new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", "has 8 CPUs free", facts);

  expect(errorAnswer(fault)).toMatchObject({
    status: 409,
    body: { error: `aborted: ${text}`, status: "insufficient_capacity" },
  });
});
