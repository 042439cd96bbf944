import { expect, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import { errorAnswer } from "./answer.ts";

const MEMORY = "could not reserve resource for machine: insufficient memory available to fulfill request";
const RESOURCES =
  "could not reserve resource for machine: insufficient resources available to fulfill request";
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
    body: { error: `aborted: ${text}`, status: "", scope: "host" },
  });
});

test("only a region without room has a code: clients read that of a host in the text", () => {
  const { body } = errorAnswer(new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room"));

  expect(body).toMatchObject({
    error: `aborted: ${MEMORY}`,
    status: "insufficient_capacity",
    scope: "region",
  });
});

test.each(["DISK_FULL", "NO_FREE_PORT"])("%s is a lack of room as any other, and no rate", (reason) => {
  const fault = new Fault("RESOURCE_EXHAUSTED", reason, "no port from 1 to 2 is free");

  const { status, headers, body } = errorAnswer(fault);

  expect({ status, headers, body }).toMatchObject({
    status: 409,
    headers: {},
    body: {
      error: `aborted: ${RESOURCES}: no port from 1 to 2 is free`,
      status: "",
      scope: "host",
    },
  });
});

test("a host that cannot write down a stop has no lack of room for the machine", () => {
  const fault = new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "the host's disk is full");

  const { status, body } = errorAnswer(fault, "stop");

  expect(status).toBe(503);
  expect(body).toMatchObject({ error: "unavailable: the host's disk is full", status: "unavailable" });
  expect(body).not.toHaveProperty("scope");
});

test("an acquire of which no step has worked is no rate, and tells what was tried", () => {
  const facts = { attempts: '[{"step":0}]', attempts_left_out: "3", reason_0: "NO_CAPACITY" };

  const answer = errorAnswer(new Fault("RESOURCE_EXHAUSTED", "NO_STEP_WORKED", "no step", facts));

  const more = { attempts: '[{"step":0}]', attempts_left_out: "3" };
  expect(answer).toMatchObject({ status: 409, headers: {}, body: more });
});

test("an error that passes says when to come back, whatever its status", () => {
  const again = { retryAfterMs: 1_500 };

  const { status, headers } = errorAnswer(new Fault("ABORTED", "KEY_IN_USE", "in use", {}, again));

  expect({ status, headers }).toEqual({ status: 409, headers: { "retry-after": "2" } });
});
