import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { Child } from "./child.ts";

const MODULE = `import { serve } from ${JSON.stringify(new URL("./child.ts", import.meta.url).href)};
serve({
  double: (value) => 2n * value,
  fail: () => { throw new Error("no"); },
  end: () => process.exit(3),
});`;

interface Functions {
  double(value: bigint): bigint;
  fail(): void;
  end(): void;
}

test("functions of another process can be called, fail, and reject when it ends", async () => {
  const folder = temporaryFolder("child");
  const file = join(folder.path, "module.mjs");
  writeFileSync(file, MODULE);
  {
    await using child = new Child<Functions>(pathToFileURL(file));

    expect(await child.functions.double(21n)).toBe(42n);
    await expect(child.functions.fail()).rejects.toThrow("no");
    await expect(child.functions.end()).rejects.toThrow("has ended");
  }
  folder.remove();
});
