import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/support/temporary.ts";
import { headersFromFile } from "./token-file.ts";

test("spans are sent with the token that is in the file now, and with the last one while there is none", async () => {
  const folder = temporaryFolder("token");
  const path = join(folder.path, "token");
  let now = 0;
  const headers = headersFromFile(path, () => now);
  const later = async () => {
    now += 30_000;
    return await headers();
  };

  const before = await headers();
  writeFileSync(path, "one\n");
  const first = await later();
  writeFileSync(path, "two\n");
  const second = await later();
  folder.remove();

  expect([before, first, second, await later()]).toEqual([
    {},
    { authorization: "Bearer one" },
    { authorization: "Bearer two" },
    { authorization: "Bearer two" },
  ]);
});
