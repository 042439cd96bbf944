import { Readable } from "node:stream";
import type { Run } from "../../lib/benchmark.ts";
import { number } from "../../lib/report/table.ts";
import { HttpClient } from "../http-client.ts";
import type { Front, Fronts } from "./fronts.ts";

/** Requests by turns take a millisecond or two. */
const REQUESTS_PER_RUN = 10;
const MOST_WARM_UP = 1_500;
const LIMIT_MS = 120_000;
/** The most that the proxy may add, by what nginx adds. */
const TARGET_RATIO = 3;

const MEGABYTE = 1_000_000;
const BULK_BYTES = 100 * MEGABYTE;
const PIECE = Buffer.alloc(64 * 1_024);
const BULK_LIMIT_MS = 300_000;

/** Measures requests past the proxy, through nginx and through the proxy by turns, over one kept connection each. */
export async function measureLatency({ all, problem }: Fronts, run: Run): Promise<void> {
  const { report } = run;
  const count = REQUESTS_PER_RUN * run.runs;
  await using clients = clientsOf(all, 1, run);
  let first = 0;
  const once = async () => {
    const ms = new Map<Front["name"], number>();
    // None is always the first, or always after the same.
    for (const { front, client } of rotated(clients.each, first++))
      ms.set(front.name, (await client.ask(front.host)).wholeMs);
    return ms;
  };
  const rounds = await run.repeat("requests by turns", count, once, Math.min(count, MOST_WARM_UP), LIMIT_MS);
  const of = (name: Front["name"]) => rounds.flatMap((ms) => ms.get(name) ?? []);
  const added = (name: Front["name"]) =>
    rounds.flatMap((ms) => {
      const [through, direct] = [ms.get(name), ms.get("direct")];
      return through === undefined || direct === undefined ? [] : [through - direct];
    });
  report.addTimes({ request_direct: of("direct") });
  report.addTimes({ request_nginx: of("nginx"), nginx_adds: added("nginx") }, problem);
  report.addTimes({ request_node: of("node"), node_adds: added("node") });
  report.addTimes({ request_proxy: of("proxy"), proxy_adds: added("proxy") });
  report.note("nginx_adds, node_adds, proxy_adds: the difference of two requests of one turn");
  const [ours, theirs, bare] = ["proxy_adds", "nginx_adds", "node_adds"].map((row) => report.row(row));
  if (ours === undefined || theirs === undefined || theirs.p50 <= 0) return;
  const ratio = ours.p50 / theirs.p50;
  const isMet = ratio <= TARGET_RATIO ? "ok" : "MISSED";
  const least =
    bare === undefined ? "" : `; a bare proxy by Node adds ${number(bare.p50 / theirs.p50)} times`;
  report.note(
    `the proxy adds ${number(ratio)} times what nginx adds, p50 to p50 (<= ${TARGET_RATIO} ${isMet})${least}`,
  );
}

/** Measures how fast 100 MB pass in each direction, by turns, one at a time. */
export async function measureBulk({ all, problem }: Fronts, run: Run): Promise<void> {
  await using clients = clientsOf(all, 1, run);
  let first = 0;
  const once = async () => {
    const rates = new Map<string, number>();
    for (const { front, client } of rotated(clients.each, first++)) {
      const down = await client.ask(front.host, { path: `/${BULK_BYTES}` });
      if (down.bytes !== BULK_BYTES) throw new Error(`${front.name}: ${down.bytes} bytes arrived`);
      const body = Readable.from(zeros(BULK_BYTES));
      const up = await client.ask(front.host, { method: "POST", body, bodyBytes: BULK_BYTES });
      rates.set(`download_${front.name}`, rate(down.wholeMs));
      rates.set(`upload_${front.name}`, rate(up.wholeMs));
    }
    return rates;
  };
  const rounds = await run.repeat("100 MB each", run.scaled(40, 3), once, 1, BULK_LIMIT_MS);
  for (const direction of ["download", "upload"])
    for (const name of ["direct", "nginx", "node", "proxy"] as const) {
      const row = `${direction}_${name}`;
      const samples = rounds.flatMap((rates) => rates.get(row) ?? []);
      run.report.add(row, "MB/s", samples, name === "nginx" ? problem : undefined);
    }
}

/** Returns the items from `first` on, and then those before it. */
export function rotated<T>(items: readonly T[], first: number): readonly T[] {
  const at = first % Math.max(1, items.length);
  return [...items.slice(at), ...items.slice(0, at)];
}

function rate(ms: number): number {
  return BULK_BYTES / MEGABYTE / (ms / 1_000);
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length)
    yield left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
}

function clientsOf(fronts: readonly Front[], connections: number, { signal }: Run) {
  const each = fronts.map((front) => ({ front, client: new HttpClient(front.address, connections, signal) }));
  return {
    each,
    async [Symbol.asyncDispose]() {
      for (const { client } of each) await client[Symbol.asyncDispose]();
    },
  };
}
