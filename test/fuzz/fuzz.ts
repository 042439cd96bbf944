import { readCorpus, writeCorpus, writeFinding } from "./corpus.ts";
import { Coverage, Reached } from "./coverage.ts";
import { Dice, mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

export interface FuzzOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Inputs between two looks at the coverage, which take longer than most inputs. */
const BATCH = 64;
/** Longer than any input should take, on a busy machine too. */
const SLOW_MS = 5_000;

const coverage = new Coverage();

/** An input for which something does not hold. */
class Finding extends Error {
  constructor(target: string, path: string, seed: number, cause: unknown) {
    super(`${target}: found with seed ${seed}, kept in ${path}`, { cause });
  }
}

/**
 * Reads inputs changed at random, and goes on from those that reach code which none before has reached. The smallest set that
 * reaches all of it becomes the corpus.
 *
 * @throws Finding
 */
export async function fuzz(
  target: Target,
  options: FuzzOptions,
): Promise<{ runs: number; blocks: number; inputs: number }> {
  const dice = new Dice(options.seed);
  const reached = new Reached(true);
  const inputs = [...readCorpus(target.name).values()];
  if (inputs.length === 0) inputs.push(Buffer.alloc(0));
  const run = (input: Buffer) => runOne(target, input, options.seed);
  coverage.take();
  for (const input of inputs) await run(input);
  reached.add(coverage.take());

  const endMs = performance.now() + options.seconds * 1_000;
  let runs = 0;
  while (performance.now() < endMs && !options.signal.aborted) {
    const batch = Array.from({ length: BATCH }, () => mutate(pick(inputs, dice), inputs, target, dice));
    for (const input of batch) await run(input);
    runs += batch.length;
    if (!reached.isNew(coverage.take())) continue;
    for (const input of batch) {
      await run(input);
      if (reached.add(coverage.take())) inputs.push(input);
    }
  }
  const { kept, blocks } = await smallest(inputs, run);
  writeCorpus(target.name, kept);
  return { runs, blocks, inputs: kept.length };
}

/** New inputs are changed more often: what they have reached is fresh ground. */
function pick(inputs: readonly Buffer[], dice: Dice): Buffer {
  const from = dice.below(2) === 0 ? Math.max(0, inputs.length - 20) : 0;
  return inputs[from + dice.below(inputs.length - from)] ?? Buffer.alloc(0);
}

async function runOne(target: Target, input: Buffer, seed: number): Promise<void> {
  const since = performance.now();
  try {
    await target.run(input);
  } catch (err) {
    throw new Finding(target.name, writeFinding(target.name, input), seed, err);
  }
  const tookMs = performance.now() - since;
  if (tookMs <= SLOW_MS) return;
  const cause = new Error(`it took ${Math.round(tookMs)} ms for ${input.length} bytes`);
  throw new Finding(target.name, writeFinding(target.name, input), seed, cause);
}

/** Chooses inputs, small ones first, that together reach all blocks that all reach. */
async function smallest(inputs: readonly Buffer[], run: (input: Buffer) => Promise<void>) {
  const reached = new Reached(false);
  const kept: Buffer[] = [];
  for (const input of inputs.toSorted((a, b) => a.length - b.length)) {
    await run(input);
    if (reached.add(coverage.take())) kept.push(input);
  }
  return { kept, blocks: reached.size };
}
