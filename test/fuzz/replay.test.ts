import { describe, expect, test } from "vitest";
import { readCorpus } from "./corpus.ts";
import { TARGETS } from "./targets/index.ts";

describe.each(TARGETS)("what fuzzing has found of the target $name", (target) => {
  const corpus = [...readCorpus(target.name)];

  test("is read or blamed on the image", async () => {
    expect(corpus.length).toBeGreaterThan(0);
    const failures: string[] = [];
    for (const [name, input] of corpus) {
      try {
        await target.run(input);
      } catch (err) {
        failures.push(`${name}: ${String(err)}`);
      }
    }
    expect(failures).toEqual([]);
  });
});
