import { expect, test } from "vitest";
import { BROKEN } from "./broken-guards.ts";
import { firstFailing } from "./first-failing.ts";

test.each(Object.entries(BROKEN))(
  "the simulator finds %s",
  async (_name, { guards, within, finds, plan }) => {
    const found = await firstFailing(within, { guards, ...(plan ? { plan } : {}) });

    expect(found?.violations[0]).toMatch(finds);
  },
);
