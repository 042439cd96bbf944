import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call } from "../../../../src/lib/grpc/client.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { createRequest } from "../requests.ts";

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());

test("of two awards for distinct hosts one is refused, whatever was held", async () => {
  const hold = () => {
    const reservationId = randomBytes(8).toString("hex");
    const resources = { cpus: 1, memoryMb: 256, diskMb: 1_024 };
    const answer = host.host.ledger.hold(reservationId, resources, 20_000, { app: "web", isDistinct: true });
    if (answer.kind !== "held") throw new Error(answer.reason);
    return { reservationId, epoch: answer.epoch };
  };
  const award = (of: ReturnType<typeof hold>) =>
    call(host.client, host.client.createMachine, createRequest(of), { timeoutMs: 20_000 });
  const [first, second] = [hold(), hold()];

  // Concurrent: neither is stored when the other is decided.
  const results = await Promise.allSettled([award(first), award(second)]);

  const refused = results.filter((one) => one.status === "rejected");
  expect(refused).toMatchObject([{ reason: { code: "FAILED_PRECONDITION", reason: "APP_PRESENT" } }]);
});
