import { expect, test } from "vitest";
import type { ExecMachineRequest } from "../../gen/windhover/machines/v1/exec.ts";
import { machineId } from "../machines/machine.ts";
import type { ExecEnd, ExecOutput, ExecSession } from "../vmm/exec.ts";
import type { Vm } from "../vmm/vmm.ts";
import { execCommand } from "./service-exec-command.ts";

const ID = machineId("00001aaaaaaaaa");
const NEVER = new AbortController().signal;
const BYTE: ExecMachineRequest["message"] = { $case: "stdin", value: Buffer.of(1) };
const ENDS = { gone: NEVER, draining: NEVER };

/** A command of a guest that is stuck: it takes no input, writes nothing, and does not end when it is killed. */
class StuckSession implements ExecSession {
  readonly pid = 7;
  readonly ended = new Promise<ExecEnd>(() => {});
  readonly output: AsyncIterable<ExecOutput>;
  readonly #killed = Promise.withResolvers<void>();

  constructor() {
    const next = async (): Promise<IteratorResult<ExecOutput>> => {
      await this.#killed.promise;
      return { done: true, value: undefined };
    };
    this.output = { [Symbol.asyncIterator]: () => ({ next }) };
  }

  write(): Promise<void> {
    return new Promise(() => {});
  }

  endInput(): void {}

  resize(): void {}

  signal(): void {}

  kill(): void {
    this.#killed.resolve();
  }
}

function stuckVm(): Pick<Vm, "exec"> {
  return { exec: async () => new StuckSession() };
}

function order(timeoutMs: number | undefined) {
  return { id: ID, request: { argv: ["x"], env: {}, stdin: true }, timeoutMs, leaseNonce: "" };
}

/** A client that sends a byte, and then a number of requests as fast as they are taken. */
function flood(message: ExecMachineRequest["message"], count: number) {
  const requests = {
    taken: 0,
    async next(): Promise<IteratorResult<ExecMachineRequest>> {
      if (requests.taken === count) return new Promise<never>(() => {});
      requests.taken += 1;
      return { value: { machineId: "", message: requests.taken === 1 ? BYTE : message } };
    },
  };
  return requests;
}

test("a command ends after its timeout, although its guest does not confirm that it is killed", async () => {
  const responses = execCommand(stuckVm(), order(1), flood(undefined, 0), ENDS, 1);

  expect((await responses.next()).value).toMatchObject({ message: { $case: "started" } });
  await expect(responses.next()).rejects.toMatchObject({ reason: "EXEC_TIMEOUT" });
});

test("a command ends with its client, although its guest does not confirm that it is killed", async () => {
  const client = new AbortController();
  const ends = { ...ENDS, gone: client.signal };
  const responses = execCommand(stuckVm(), order(undefined), flood(undefined, 0), ends, 1);
  await responses.next();

  client.abort();

  await expect(responses.next()).rejects.toMatchObject({ reason: "EXEC_INTERRUPTED" });
});

test.each<[string, ExecMachineRequest["message"]]>([
  ["single bytes", BYTE],
  ["nothing", { $case: "stdin", value: Buffer.alloc(0) }],
  ["the end", { $case: "stdinEnd", value: true }],
])("a client that sends %s again and again waits for a command that reads nothing", async (_, message) => {
  const requests = flood(message, 5_000);
  const responses = execCommand(stuckVm(), order(undefined), requests, ENDS, 1);
  await responses.next();
  // Begins to take requests. It ends only with the test.
  void responses.next();
  // All that is taken at all is taken before the next turn of the event loop.
  await new Promise(setImmediate);

  expect(requests.taken).toBeGreaterThan(100);
  expect(requests.taken).toBeLessThan(1_000);
});
