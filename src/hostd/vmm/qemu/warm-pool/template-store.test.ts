import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../../../test/support/temporary.ts";
import { NO_POOL_METRICS } from "../../pool-metrics.ts";
import type { Shape } from "../../vmm.ts";
import { TemplateStore, type TemplateStoreOptions } from "./template-store.ts";

const SMALL = { cpus: 1, memoryMb: 256 };
const LARGE = { cpus: 2, memoryMb: 512 };
const MB = 1024 * 1024;
const { signal } = new AbortController();

let folder: ReturnType<typeof temporaryFolder>;
let dir: string;
/** What the store has reported of templates. */
let reported: string[];
/** Each reading of the clock is later than the one before. */
let nowMs = 1_700_000_000_000;
beforeEach(() => {
  folder = temporaryFolder("templates");
  dir = join(folder.path, "templates");
  reported = [];
});
afterEach(() => folder.remove());

/** A store whose templates are a megabyte for every 256 of memory. */
function store(more: Partial<TemplateStoreOptions> = {}): TemplateStore {
  const template = ({ memoryMb }: Shape, madeAtMs: number | undefined): void => {
    reported.push(`${memoryMb} ${madeAtMs === undefined ? "gone" : "there"}`);
  };
  return new TemplateStore({
    dir,
    budgetMb: 100,
    key: ({ memoryMb }) => `key-${memoryMb}`,
    make: async ({ memoryMb }, memory) => {
      await writeFile(memory, Buffer.alloc((memoryMb / 256) * MB, memoryMb % 251));
      return Buffer.from(`state of ${memoryMb}`);
    },
    now: () => nowMs++,
    metrics: { ...NO_POOL_METRICS, template },
    ...more,
  });
}

/** A store that has read what is there. */
async function reopened(more: Partial<TemplateStoreOptions> = {}): Promise<TemplateStore> {
  reported = [];
  const again = store(more);
  await again.load();
  return again;
}

const memoryOf = (memoryMb: number) => join(dir, `key-${memoryMb}`, "memory");

describe("a template", () => {
  test("is found once it has been made, and by a store that comes later", async () => {
    const first = store();
    expect([first.has(SMALL), await first.find(SMALL)]).toEqual([false, undefined]);

    const made = await first.make(SMALL, signal);

    expect(made).toMatchObject({ shape: SMALL, memory: memoryOf(256), state: Buffer.from("state of 256") });
    expect(await first.find(SMALL)).toEqual(made);
    expect(await (await reopened()).find(SMALL)).toEqual(made);
    expect(reported).toEqual(["256 there"]);
  });

  test("replaces the one of its shape", async () => {
    let count = 0;
    const templates = store({
      make: async (_, memory) => {
        await writeFile(memory, "memory");
        count += 1;
        return Buffer.from(`state ${count}`);
      },
    });
    await templates.make(SMALL, signal);
    await templates.make(SMALL, signal);

    expect((await templates.find(SMALL))?.state.toString()).toBe("state 2");
    expect(readdirSync(dir)).toEqual(["key-256"]);
  });

  test("is removed when what it depends on has changed", async () => {
    await store().make(SMALL, signal);

    const later = await reopened({ key: ({ memoryMb }) => `other-${memoryMb}` });

    expect(later.has(SMALL)).toBe(false);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("is removed when its memory was written to", async () => {
    const templates = store();
    await templates.make(SMALL, signal);
    writeFileSync(memoryOf(256), "X", { flag: "r+" });

    expect(await templates.find(SMALL)).toBeUndefined();
    expect([templates.has(SMALL), readdirSync(dir)]).toEqual([false, []]);
    expect(reported).toEqual(["256 there", "256 gone"]);
  });

  test("has memory that VMs can write to, as QEMU requires, and all else is hostd's alone", async () => {
    await store().make(SMALL, signal);
    const mode = (file: string) => statSync(join(dir, "key-256", file)).mode & 0o777;
    expect([mode("memory"), mode("state"), mode("template.json"), mode(".")]).toEqual([
      0o666, 0o600, 0o600, 0o700,
    ]);
  });
});

describe("a store that comes later", () => {
  test.for([
    ["memory of another size", () => truncateSync(memoryOf(256), 10)],
    ["memory of another content", () => writeFileSync(memoryOf(256), "X", { flag: "r+" })],
    ["a damaged state", () => writeFileSync(join(dir, "key-256/state"), "state of 257")],
    ["no manifest", () => writeFileSync(join(dir, "key-256/template.json"), "")],
    ["a manifest of another format", () => writeFileSync(join(dir, "key-256/template.json"), '{"format":0}')],
  ] as const)("removes a template with %s, and keeps the others", async ([, damage]) => {
    const first = store();
    await first.make(SMALL, signal);
    await first.make(LARGE, signal);
    damage();

    const later = await reopened();

    expect([later.has(SMALL), later.has(LARGE)]).toEqual([false, true]);
    expect(readdirSync(dir)).toEqual(["key-512"]);
  });
});

describe("room on the disk", () => {
  test("is made by removing the template that was used longest ago", async () => {
    const templates = store({ budgetMb: 2.5 });
    const [one, two, three] = [256, 257, 258].map((memoryMb) => ({ cpus: 1, memoryMb }));
    if (!one || !two || !three) throw new Error("three shapes");
    await templates.make(one, signal);
    await templates.make(two, signal);
    await templates.find(one);

    await templates.make(three, signal);

    expect([one, two, three].map((shape) => templates.has(shape))).toEqual([true, false, true]);
    expect(existsSync(memoryOf(257))).toBe(false);
  });

  test("is not given to a template that is larger than all of it, at the cost of others", async () => {
    const templates = store({ budgetMb: 1.5 });
    await templates.make(SMALL, signal);
    await templates.make(LARGE, signal);

    expect([templates.has(LARGE), templates.has(SMALL)]).toEqual([false, true]);
  });

  test("that has become less since the last time is kept to", async () => {
    const templates = store();
    await templates.make(SMALL, signal);
    await templates.make(LARGE, signal);

    const fewer = await reopened({ budgetMb: 0 });

    expect([fewer.has(SMALL), fewer.has(LARGE), readdirSync(dir)]).toEqual([false, false, []]);
  });
});

describe("a making that ends early", () => {
  test("leaves nothing, neither a draft nor a template, when it fails or is called off", async () => {
    const abort = new AbortController();
    const templates = store({
      make: async (_, memory, limit) => {
        await writeFile(memory, "half");
        abort.abort(new Error("its memory is needed"));
        throw limit.reason;
      },
    });

    await expect(templates.make(SMALL, abort.signal)).rejects.toThrow("its memory is needed");
    expect([templates.has(SMALL), readdirSync(dir)]).toEqual([false, []]);
  });

  test("leaves the template there was, which goes on being used", async () => {
    let isBroken = false;
    const templates = store({
      make: async (_, memory) => {
        if (isBroken) throw new Error("no memory");
        await writeFile(memory, "memory");
        return Buffer.from("state");
      },
    });
    const made = await templates.make(SMALL, signal);
    isBroken = true;

    await expect(templates.make(SMALL, signal)).rejects.toThrow("no memory");
    expect(await templates.find(SMALL)).toEqual(made);
  });

  test.for([[["memory"]], [["memory", "state"]], [["memory", "state", "template.json"]]] as const)(
    "with hostd, having written %s, is as if it had never begun",
    async ([files]) => {
      await store().make(SMALL, signal);
      const whole = join(dir, "key-256");
      const draft = join(dir, "draft-key-512");
      mkdirSync(draft);
      for (const file of files) writeFileSync(join(draft, file), readFileSync(join(whole, file)));

      const later = await reopened();

      expect([later.has(SMALL), later.has(LARGE)]).toEqual([true, false]);
      expect(readdirSync(dir)).toEqual(["key-256"]);
      expect((await later.make(LARGE, signal)).shape).toEqual(LARGE);
    },
  );
});
