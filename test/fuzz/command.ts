/** `npm run fuzz [-- --seconds N] [--seed N] [TARGET...]`: looks for inputs that our readers of images do not stand. `--input FILE` reads one. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { main, UserError } from "../../tools/lib/main.ts";
import { fuzz } from "./fuzz.ts";
import { TARGETS } from "./targets/index.ts";

await main(async (signal) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: "30" },
      seed: { type: "string" },
      input: { type: "string" },
    },
  });
  const seconds = Number(values.seconds);
  const seed = Number(values.seed ?? Date.now() % 2 ** 32);
  const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
  const names = TARGETS.map((target) => target.name).join(", ");
  if (!(seconds > 0) || !Number.isInteger(seed)) throw new UserError("--seconds and --seed are numbers");
  if (unknown.length > 0) throw new UserError(`There is no ${unknown.join(", ")}. Targets: ${names}`);
  const targets = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  for (const target of targets) {
    if (signal.aborted) break;
    if (values.input !== undefined) {
      await target.run(readFileSync(values.input));
      continue;
    }
    const { runs, blocks, inputs } = await fuzz(target, { seconds, seed, signal });
    process.stdout.write(`${target.name}: ${runs} inputs, ${blocks} blocks reached, ${inputs} inputs kept\n`);
  }
  return 0;
});
