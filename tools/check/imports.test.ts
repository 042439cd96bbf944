import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { RULES } from "./import-rules.ts";
import { brokenRules, cycles, type Import, readImports } from "./imports.ts";

/** Parses lines `a/b.ts > c/d.ts`. */
function imports(...lines: readonly string[]): readonly Import[] {
  return lines.map((line) => {
    const [from = "", to = ""] = line.split(" > ");
    return { from, to };
  });
}

describe("the rules", () => {
  test.each([
    ["src/api/main.ts > src/hostd/config.ts", /services never import each other/],
    ["src/lib/runtime/wait.ts > src/api/config.ts", /src\/lib knows no service/],
    ["src/lib/grpc/rpc.ts > src/lib/oci/reference.ts", /only src\/lib\/oci knows images/],
    ["src/api/hosts/sweep.ts > src/gen/windhover/hostd/v1/hostd.ts", /wire types/],
    ["src/api/machines/machines.ts > pg", /SQL stays/],
    ["src/scheduler/hosts/hosts.ts > node:fs", /what decides is pure/],
    ["bench/start.ts > src/hostd/vmm/qemu/assets.ts", /through their index.ts/],
    ["dev/fleet/fleet.ts > test/support/fleet.ts", /no tests and no fixtures/],
  ])("refuse %s", (line, says) => {
    expect(brokenRules(imports(line), RULES)).toEqual([expect.stringMatching(says)]);
  });

  test.each([
    "src/api/main.ts > src/api/config.ts",
    "src/api/main.ts > src/lib/runtime/wait.ts",
    "src/api/convert-hosts.ts > src/gen/windhover/hostd/v1/hostd.ts",
    "src/api/hosts/hostd-client.ts > src/gen/windhover/hostd/v1/hostd.ts",
    "src/api/machines/machine-store.ts > pg",
    "src/scheduler/hosts/hosts.test.ts > node:fs",
    "bench/start.ts > src/hostd/index.ts",
    "test/system/failures/outage.test.ts > src/hostd/vmm/vmm.ts",
  ])("allow %s", (line) => {
    expect(brokenRules(imports(line), RULES)).toEqual([]);
  });
});

describe("a cycle", () => {
  test("of files is found, with an import for each arrow", () => {
    const found = cycles(
      imports("src/x/a.ts > src/x/b.ts", "src/x/b.ts > src/x/c.ts", "src/x/c.ts > src/x/a.ts"),
    );

    expect(found).toEqual([
      expect.stringMatching(/^src\/x: a cycle of a.ts, b.ts, c.ts\n {4}a.ts -> b.ts: /),
    ]);
  });

  test("of folders is found, whichever of their files import each other", () => {
    const found = cycles(imports("src/s/a/x/one.ts > src/s/b/two.ts", "src/s/b/three.ts > src/s/a/four.ts"));

    expect(found).toEqual([expect.stringMatching(/^src\/s: a cycle of a, b/)]);
  });

  test("of a file and a sub-folder is found; a sub-folder may import other files of its parent", () => {
    const down = "src/a/main.ts > src/a/rooms/one.ts";

    expect(cycles(imports(down, "src/a/rooms/one.ts > src/a/config.ts"))).toEqual([]);
    expect(cycles(imports(down, "src/a/rooms/one.ts > src/a/main.ts"))).toEqual([
      expect.stringMatching(/^src\/a: a cycle of main.ts, rooms/),
    ]);
  });

  test("of entries of top folders is found; the top folders themselves may import each other", () => {
    const down = ["tools/setup/one.ts > guest/build/two.ts", "guest/build/two.ts > tools/lib/three.ts"];

    expect(cycles(imports(...down))).toEqual([]);
    expect(cycles(imports(...down, "tools/lib/three.ts > tools/setup/four.ts"))).toEqual([
      expect.stringMatching(/^the project: a cycle of tools\/setup, guest\/build, tools\/lib/),
    ]);
  });

  test("through a test file is none", () => {
    expect(cycles(imports("src/x/a.ts > src/x/b.ts", "src/x/b.test.ts > src/x/a.ts"))).toEqual([]);
  });
});

test("imports, exports from, side effects, types and dynamic imports are read", () => {
  const root = mkdtempSync(join(tmpdir(), "wh-imports-"));
  const file = join(root, "src/lib/one.ts");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    `import pg from "pg";
import {
  type A,
} from "../two.ts";
import type { B } from "./three.ts";
import "./four.ts";
export { c } from "./five.ts";
const six = await import("../../dev/six.ts");
const text = 'import nothing';
`,
  );

  const found = readImports(root).map(({ to }) => to);
  rmSync(root, { recursive: true });

  expect(found).toEqual([
    ...["pg", "src/two.ts", "src/lib/three.ts", "src/lib/four.ts", "src/lib/five.ts", "dev/six.ts"],
  ]);
});
