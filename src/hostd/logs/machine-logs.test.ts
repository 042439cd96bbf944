import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeFrame } from "../vmm/qemu/guest-protocol/frame.ts";
import { MESSAGE, TAG } from "../vmm/qemu/guest-protocol/protocol.ts";
import { TlvWriter } from "../vmm/qemu/guest-protocol/tlv.ts";
import { MachineLog } from "./machine-log.ts";
import { MachineLogs } from "./machine-logs.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-machine-logs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const LIMITS = { machineKb: 64, orgKb: 1_024 };
const A = { id: "a", org: "one" };

const line = (text: string) => ({ timeUs: 1, stream: "stdout" as const, text });
const kept = (log: MachineLog | undefined, after = 0): string[] => {
  const texts: string[] = [];
  let last = after;
  for (let lines = log?.after(last) ?? []; lines.length > 0; lines = log?.after(last) ?? []) {
    texts.push(...lines.map(({ text }) => text));
    last = lines.at(-1)?.sequence ?? 0;
  }
  return texts;
};

/** Encodes lines as a guest does. */
function output(from: number, to: number, afterNumber = 0) {
  const body = new TlvWriter().putU64(TAG.now, 1_000n);
  for (let number = from; number <= to; number++) {
    const header = Buffer.alloc(17);
    header.writeBigUInt64LE(BigInt(number));
    header.writeBigUInt64LE(500n, 8);
    header[16] = 1;
    body.put(TAG.line, Buffer.concat([header, Buffer.from(`line ${number}`)]));
  }
  const frames = Uint8Array.from(encodeFrame(MESSAGE.logs, body.finish()));
  return { frames, afterNumber, arrivedUs: 9_000_000, notBeforeUs: 0, clock: {} };
}

describe("the output of a VM", () => {
  test("becomes lines with times of the host, and is told as known", () => {
    const logs = new MachineLogs(dir, LIMITS, []);
    logs.open(1, A, join(dir, "cursor"));

    const receipt = logs.store(1, output(1, 3));

    expect(receipt).toEqual({ lastNumber: 3, lines: 3, guestUs: 1_000 });
    expect(kept(logs.get("a"))).toEqual(["line 1", "line 2", "line 3"]);
    // The guest's clock is 1,000 when the host's is 9,000,000.
    expect(logs.get("a")?.after(0)[0]?.timeUs).toBe(9_000_000 - 1_000 + 500);
  });

  test("is stored once, wherever hostd was killed between its writes", () => {
    const before = new MachineLogs(dir, LIMITS, []);
    before.open(1, A, join(dir, "cursor"));
    before.store(1, output(1, 3));
    before.store(1, output(4, 6, 3));

    // Only the cursor of the second batch was written, and it is sent again with what was known then.
    const after = new MachineLogs(dir, LIMITS, []);
    after.open(1, A, join(dir, "cursor"));
    const receipt = after.store(1, output(1, 8, 3));

    expect(receipt).toMatchObject({ lastNumber: 8, lines: 2 });
    expect(kept(after.get("a"))).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((number) => `line ${number}`));
  });

  test("of a new VM begins again, behind what an earlier VM of the machine wrote", () => {
    const logs = new MachineLogs(dir, LIMITS, []);
    logs.open(1, A, join(dir, "first"));
    logs.store(1, output(1, 2));
    logs.close(1);

    logs.open(2, A, join(dir, "second"));
    logs.store(2, output(1, 2));

    expect(kept(logs.get("a"))).toEqual(["line 1", "line 2", "line 1", "line 2"]);
  });

  test("that is damaged is dropped", () => {
    const logs = new MachineLogs(dir, LIMITS, []);
    logs.open(1, A, join(dir, "cursor"));
    const batch = output(1, 2);
    batch.frames[10] = (batch.frames[10] ?? 0) ^ 1 || 7;

    expect(logs.store(1, batch)).toEqual({ lastNumber: 0, lines: 0, guestUs: 0 });
  });
});

describe("the bound of an organisation", () => {
  const fill = (logs: MachineLogs, id: string, org: string, count: number): void => {
    for (let n = 1; n <= count; n++) logs.append({ id, org }, [line(`${id} ${n} `.padEnd(100, "."))]);
  };
  const bytesOf = (ids: readonly string[]): number =>
    ids
      .flatMap((id) => readdirSync(join(dir, id)).map((name) => statSync(join(dir, id, name)).size))
      .reduce((sum, size) => sum + size, 0);

  test("holds for all its machines together; the largest logs lose lines, other organisations none", () => {
    const logs = new MachineLogs(dir, { machineKb: 64, orgKb: 128 }, []);
    fill(logs, "small", "one", 10);
    fill(logs, "other", "two", 400);
    for (const id of ["a", "b", "c"]) fill(logs, id, "one", 400);

    expect(bytesOf(["small", "a", "b", "c"])).toBeLessThanOrEqual(128 * 1_024);
    expect(bytesOf(["small", "a", "b", "c"])).toBeGreaterThan(64 * 1_024);
    expect(kept(logs.get("small"))).toHaveLength(10);
    expect(kept(logs.get("other"))).toHaveLength(400);
    expect(kept(logs.get("c")).at(-1)).toMatch(/^c 400 /);
  });

  test("counts logs of before a restart, and sequences go on when all of a log was dropped", () => {
    const before = new MachineLogs(dir, { machineKb: 64, orgKb: 64 }, []);
    fill(before, "a", "one", 200);
    const owners = [A];
    const after = new MachineLogs(dir, { machineKb: 64, orgKb: 16 }, owners);

    after.append({ id: "b", org: "one" }, [line("new")]);

    expect(kept(after.get("a"))).toEqual([
      "earlier lines were dropped: the logs of the organisation on this host are full",
    ]);
    expect(after.get("a")?.after(0)[0]?.sequence).toBe(201);
    expect(kept(after.get("b"))).toEqual(["new"]);
  });
});

describe("the index", () => {
  test("finds any position and any tail as a read from the start does, also after a restart", () => {
    const log = new MachineLog(join(dir, "m"), 256 * 1_024);
    const width = (n: number): number => [0, 30, 300, 9_000][n % 4] ?? 0;
    for (let n = 1; n <= 400; n++) log.append([line(`${n} `.padEnd(width(n), "x"))]);
    const again = new MachineLog(join(dir, "m"), 256 * 1_024);
    const all = kept(log);

    expect(kept(again)).toEqual(all);
    expect(all.at(-1)).toMatch(/^400 /);
    for (const count of [0, 1, 2, 3, 5, 17, 50, all.length - 1, all.length, all.length + 9]) {
      const tail = count === 0 ? [] : all.slice(-count);
      expect(kept(log, log.beforeLast(count))).toEqual(tail);
      expect(kept(again, again.beforeLast(count))).toEqual(tail);
    }
    const first = 401 - all.length;
    for (const after of [first, first + 1, 370, 399, 400])
      expect(kept(again, after)).toEqual(all.slice(after - first + 1));
  });

  test("finds the last lines of a full log without its older half", () => {
    const log = new MachineLog(join(dir, "m"), 1_024 * 1_024);
    log.append(Array.from({ length: 20_000 }, (_, n) => line(`line ${n} of a program`)));
    const [last] = kept(log).slice(-1);
    // Reading it would throw.
    rmSync(join(dir, "m", "older.jsonl"));

    expect(kept(log, log.beforeLast(1))).toEqual([last]);
    expect(kept(log, log.beforeLast(100))).toHaveLength(100);
    expect(() => kept(log)).toThrow("ENOENT");
  });

  test("does without what a crash or a damaged disk has left", () => {
    const log = new MachineLog(join(dir, "m"), 64 * 1_024);
    log.append([line("one"), line("two")]);
    cpSync(join(dir, "m"), join(dir, "n"), { recursive: true });
    const damaged = `[1,1,"stdout","one"]\n\u0000\u0000garbage\n[3,1,"stdout","three"]\n[4,1,"std`;
    writeFileSync(join(dir, "n", "newer.jsonl"), damaged);

    const again = new MachineLog(join(dir, "n"), 64 * 1_024);
    again.append([line("four")]);

    expect(again.after(0).map(({ sequence, text }) => `${sequence} ${text}`)).toEqual([
      "1 one",
      "3 three",
      "4 four",
    ]);
  });
});
