import fc from "fast-check";
import { expect, test } from "vitest";
import { machineRoute, routesOf, serviceRoute } from "../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../test/support/proxy/sim-fleet.ts";

const PROXIES = 3;
const HARD_LIMIT = 3;
const IDLE_MS = 1_000;

/** What may happen next, to the machine or proxy with a number, and how often. */
const WEIGHTS = {
  ...{ request: 6, finish: 6, leave: 1, up: 8, down: 8, call: 4, answer: 4, step: 4, flow: 4, quiet: 3 },
  ...{ idle: 6, sweep: 5, time: 2, long: 4, open: 3, lose: 1, restart: 0.5 },
} as const;
type Kind = keyof typeof WEIGHTS;
const KINDS = Object.entries(WEIGHTS).flatMap(([kind, weight]) =>
  Array.from({ length: 2 * weight }, () => kind as Kind),
);
const action = fc.record({ kind: fc.constantFrom(...KINDS), n: fc.nat(5) });
type Action = { readonly kind: Kind; readonly n: number };

function newFleet(): SimFleet {
  const concurrency = { type: "requests", softLimit: 2, hardLimit: HARD_LIMIT } as const;
  const services = [serviceRoute({ concurrency, idleTimeoutMs: IDLE_MS })];
  return new SimFleet(PROXIES, routesOf(...["a", "b"].map((id) => machineRoute(id, { services }))));
}

async function act(fleet: SimFleet, { kind, n }: Action): Promise<void> {
  const { host, routers, timers } = fleet;
  const stream = host.streams[n % host.streams.length];
  const router = routers[n % PROXIES];
  const held = fleet.held[n % Math.max(1, fleet.held.length)];
  if (kind === "request") fleet.request(n % PROXIES);
  else if (kind === "finish" && held) fleet.finish(held);
  else if (kind === "leave") fleet.waiting[n]?.leave.abort(new Error("the client has left"));
  else if (kind === "up" && stream) host.takeUp(stream);
  else if (kind === "down" && stream) host.giveDown(stream);
  else if (kind === "call") host.takeCall();
  else if (kind === "answer") host.answers.shift()?.();
  else if (kind === "step") host.step(["a", "b"][n % 2] ?? "a");
  else if (kind === "flow") await fleet.deliver(1);
  else if (kind === "quiet") beQuiet(fleet);
  else if (kind === "idle") router?.stopIdle();
  else if (kind === "sweep") router?.sweep();
  else if (kind === "time") timers.advance(100 * (n + 1));
  else if (kind === "long") timers.advance(IDLE_MS * (n + 1));
  else if (kind === "open" && stream) host.open(stream);
  else if (kind === "lose" && stream) host.lose(stream);
  else if (kind === "restart") host.restart();
  await fleet.turn();
}

/** All requests end, for a while there are none, and the host hears of it: any proxy may ask for a stop now. */
function beQuiet(fleet: SimFleet): void {
  for (const held of fleet.held) fleet.finish(held);
  for (const router of fleet.routers) router.stopIdle();
  fleet.timers.advance(2 * IDLE_MS);
  for (const router of fleet.routers) router.sweep();
  for (const stream of fleet.host.streams) while (stream.up.length > 0) fleet.host.takeUp(stream);
}

/** What must hold after each step. */
function check(fleet: SimFleet): void {
  for (let proxy = 0; proxy < PROXIES; proxy++) {
    const held = fleet.held.filter((each) => each.proxy === proxy);
    for (const [id, machine] of fleet.host.machines) {
      const here = held.filter(({ place }) => place?.machineId === id);
      expect(here.length).toBeLessThanOrEqual(HARD_LIMIT);
      // Only idle stops stop machines here: none may meet a request whose use was confirmed, and is.
      const isStill = fleet.routers[proxy]?.hosts.linkOf(id)?.uses.isConfirmed(id);
      if (isStill && here.some(({ isConfirmed }) => isConfirmed)) expect(machine.state).toBe("started");
    }
  }
  expect(fleet.host.doubleStarts).toBe(0);
}

test("no request meets a machine that is being stopped, however proxies, hosts and messages interleave", async () => {
  let places = 0;
  let stops = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 40, maxLength: 160 }), async (actions) => {
      const fleet = newFleet();
      await fleet.deliver(2);
      for (let proxy = 0; proxy < PROXIES; proxy++) fleet.request(proxy);
      await fleet.deliver(4);
      beQuiet(fleet);
      for (const each of actions) {
        await act(fleet, each);
        check(fleet);
      }
      stops += fleet.host.idleStops;
      places += fleet.requests.filter(({ place }) => place).length;
    }),
    { numRuns: 150 },
  );

  // The model does what it is about.
  expect(places).toBeGreaterThan(100);
  expect(stops).toBeGreaterThan(20);
});

test("no request is lost: each gets a place or an error, once hosts answer again", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 80 }), async (actions) => {
      const fleet = newFleet();
      for (const each of actions) await act(fleet, each);
      for (let round = 0; round < 30 && fleet.waiting.length > 0; round++) {
        await fleet.deliver(4);
        for (const held of fleet.held) fleet.finish(held);
        fleet.timers.advance(500);
        await fleet.turn();
      }

      expect(fleet.waiting).toEqual([]);
      for (const { error, leave } of fleet.requests)
        if (error !== undefined && !leave.signal.aborted) expect(error).toMatchObject({ name: "ProxyError" });
      for (const held of fleet.held) fleet.finish(held);
      await fleet.deliver(4);
      expect(fleet.routers.map(({ counts }) => counts.waiting)).toEqual(
        Array.from({ length: PROXIES }, () => 0),
      );
    }),
    { numRuns: 60 },
  );
});
