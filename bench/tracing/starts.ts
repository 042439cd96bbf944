import { type Run, timed } from "../lib/benchmark.ts";
import { BenchFleet, startUnwatched } from "../lib/fleet.ts";

/** How much is traced: nothing, one trace in ten, or all. */
export const MODES = ["off", "sampled", "on"] as const;
type Mode = (typeof MODES)[number];

/** As long as a warm VM takes, from its claim to the exec. */
const LAUNCH = "15ms";
/** Node interprets the first hundreds of calls. */
const STARTS_BEFORE = 300;

const ENVIRONMENTS: Readonly<Record<Mode, Readonly<Record<string, string>>>> = {
  off: { OTEL_TRACES_EXPORTER: "none" },
  sampled: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.1" },
  on: { OTEL_TRACES_SAMPLER: "parentbased_always_on" },
};

export type Fleets = Readonly<Record<Mode, BenchFleet>> & AsyncDisposable;

/** Starts a fleet for each mode. */
export async function openFleets(run: Run): Promise<Fleets> {
  await using stack = new AsyncDisposableStack();
  const open = (mode: Mode) =>
    run.progress.step(`a fleet with tracing ${mode}`, async () => {
      const environment = { ...ENVIRONMENTS[mode], HOSTD_SIM_LATENCY: LAUNCH };
      return stack.use(await BenchFleet.start({ hosts: 1, environment }, run.folder, false, run.signal));
    });
  const [off, sampled, on] = [await open("off"), await open("sampled"), await open("on")];
  const opened = stack.move();
  return { off, sampled, on, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/**
 * Starts and stops a machine of each fleet in turn, each round in another order. Returns
 * milliseconds by mode, in the order of the rounds.
 */
export async function measureStarts(run: Run, fleets: Fleets): Promise<Readonly<Record<Mode, number[]>>> {
  const ids: Readonly<Record<Mode, string>> = {
    off: (await fleets.off.create()).id,
    sampled: (await fleets.sampled.create()).id,
    on: (await fleets.on.create()).id,
  };
  const start = async (mode: Mode) => {
    const { clients } = fleets[mode];
    const ms = await timed(() => startUnwatched(clients, ids[mode]));
    await clients.stop(ids[mode]);
    return ms;
  };
  let round = 0;
  const once = async () => {
    round += 1;
    const shift = round % MODES.length;
    const taken: Partial<Record<Mode, number>> = {};
    for (const mode of [...MODES.slice(shift), ...MODES.slice(0, shift)]) taken[mode] = await start(mode);
    return taken;
  };
  const warmUp = Math.min(STARTS_BEFORE, run.runs);
  const rounds = await run.repeat("starts", run.runs, once, warmUp);
  const of = (mode: Mode) => rounds.map((taken) => taken[mode] ?? Number.NaN);
  return { off: of("off"), sampled: of("sampled"), on: of("on") };
}
