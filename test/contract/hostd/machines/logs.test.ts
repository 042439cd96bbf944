import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openStream } from "../../../../src/lib/grpc/client.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const SCOPE = { timeoutMs: 20_000 };
const UNKNOWN = newId();

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

describe("logs", () => {
  const read = async (
    machineId: string,
    fields: { tail?: number; follow?: boolean; after?: bigint } = {},
    until = 0,
  ) => {
    const lines: string[] = [];
    const request = {
      machineId,
      org: "",
      follow: fields.follow ?? false,
      tail: fields.tail,
      afterSequence: fields.after ?? 0n,
    };
    for await (const { entries } of openStream(host.client, host.client.streamLogs, request, SCOPE)) {
      lines.push(...entries.map(({ sequence, text }) => `${sequence} ${text}`));
      if (until > 0 && lines.length >= until) break;
    }
    return lines;
  };

  test("whose last lines are looked for again and again are waited for", async () => {
    const { id } = await host.created();
    const begunMs = performance.now();

    // As many lines as may be read at once, and half a second's more.
    await Promise.all(Array.from({ length: 90 }, () => read(id, { tail: 10_000, after: 1_000_000n })));

    expect(performance.now() - begunMs).toBeGreaterThan(400);
  });

  test("have what the machine wrote, over several starts, until it is destroyed", async () => {
    const { id } = await host.created({ exec: ["sim-log", "2"] });
    await host.start(id);
    expect(await read(id, { follow: true }, 2)).toEqual(["1 line 1", "2 line 2"]);
    await host.stop(id);

    await host.start(id);

    expect(await read(id, { follow: true }, 4)).toEqual(["1 line 1", "2 line 2", "3 line 1", "4 line 2"]);
    expect(await read(id, { tail: 1 })).toEqual(["4 line 2"]);
    expect(await read(id, { after: 3n })).toEqual(["4 line 2"]);
    await host.destroy(id, { force: true });
    expect(await read(id)).toEqual([]);
    expect(await host.logs.owners()).not.toContain(id);
  });

  test("wrong fields and unknown machines", async () => {
    const { id } = await host.created();

    await expect(read(id, { tail: 10_001, after: -1n })).rejects.toMatchObject({
      facts: { fields: "tail,after_sequence" },
    });
    await expect(read(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });
});
