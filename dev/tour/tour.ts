import { setTimeout as delay } from "node:timers/promises";
import { styleText } from "node:util";
import { UserError } from "../../tools/lib/errors.ts";
import { type Progress, seconds } from "../../tools/lib/progress.ts";
import type { Layout } from "../settings/layout.ts";
import type { FleetState } from "../supervisor/state.ts";
import { Hover } from "./hover.ts";
import { pushSample, SAMPLE_PORT } from "./sample-image.ts";

const APP = "hello";
/** The sample's server listens a moment after its program has started. */
const PAGE_TIMEOUT_MS = 20_000;

/** A machine as `hover --json` prints it. */
interface Machine {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly service_addresses: readonly { readonly internal_port: number; readonly address: string }[];
}

/**
 * Shows how an image becomes a machine that serves a page, and where the time went. Uses what an
 * earlier tour made. Returns the machine's id.
 */
export async function tour(
  state: FleetState,
  layout: Layout,
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  const hover = new Hover(layout, signal);
  const startedAt = performance.now();
  const image = await progress.step("sample image", () => pushSample(state.addresses.registry));
  const took = seconds(performance.now() - startedAt);
  progress.say(
    `\nImage ${image.reference}: ${image.isNew ? `built and pushed in ${took}` : "in the registry already"}\n`,
  );

  if (!(await hasApp(hover))) await hover.show("app", "create", APP);
  // One machine for each version of the image.
  const name = `hello-${image.digest.slice(7, 15)}`;
  let machine = await findMachine(hover, name);
  if (machine === undefined) {
    await hover.show("machine", "create", image.reference, "-a", APP, "-n", name, "-p", String(SAMPLE_PORT));
    machine = await findMachine(hover, name);
  }
  if (machine === undefined) throw new UserError(`The machine ${name} was created, but is not listed.`);
  await hover.show("machine", "start", machine.id);

  await showPage(hover, name, signal);
  await hover.show("trace", machine.id);
  return machine.id;
}

async function showPage(hover: Hover, name: string, signal: AbortSignal): Promise<void> {
  const machine = await findMachine(hover, name);
  const address = machine?.service_addresses.find((each) => each.internal_port === SAMPLE_PORT)?.address;
  if (address === undefined)
    throw new UserError(`The machine ${name} has no address for port ${SAMPLE_PORT}.`);
  const url = `http://${address}/`;
  process.stdout.write(`${styleText("bold", `$ curl ${url}`)}\n`);
  const startedAt = performance.now();
  const page = await fetchPage(url, signal);
  const took = Math.round(performance.now() - startedAt);
  const text = page.replace(/<title>.*<\/title>/, "").replace(/<[^>]+>/g, "");
  process.stdout.write(`${text.trim()}\n${styleText("dim", `(${took} ms)`)}\n\n`);
}

async function fetchPage(url: string, signal: AbortSignal): Promise<string> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(PAGE_TIMEOUT_MS)]);
  for (;;) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.any([deadline, AbortSignal.timeout(5_000)]) });
      return await answer.text();
    } catch (cause) {
      signal.throwIfAborted();
      if (deadline.aborted) throw new UserError(`${url} does not answer: ${String(cause)}`, { cause });
      await delay(50);
    }
  }
}

async function hasApp(hover: Hover): Promise<boolean> {
  const apps = (await hover.ask("app", "list")) as readonly { readonly name: string }[];
  return apps.some((app) => app.name === APP);
}

async function findMachine(hover: Hover, name: string): Promise<Machine | undefined> {
  const machines = (await hover.ask("machine", "list", "-a", APP)) as readonly Machine[];
  return machines.find((machine) => machine.name === name && STARTABLE.has(machine.state));
}

const STARTABLE = new Set(["created", "stopped", "starting", "started"]);
