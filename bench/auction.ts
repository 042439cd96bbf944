/**
 * Measures auctions in fleets of 10 to 5,000 hosts: how long one takes, awards per second,
 * messages, and what the scheduler needs.
 *
 * `npm run bench -- auction [--runs N] [--readme]`
 */
import { AuctionFleet } from "./auction/fleet.ts";
import { type Figures, measure } from "./auction/measure.ts";
import { benchmark } from "./lib/benchmark.ts";
import { growth } from "./lib/measure/growth.ts";
import { summarize } from "./lib/report/percentiles.ts";
import { writeResult } from "./lib/report/report.ts";
import { number, table } from "./lib/report/table.ts";

const FLEETS = [10, 100, 1_000, 5_000] as const;

await benchmark(
  {
    name: "auction",
    title: "Auctions among simulated hosts, each with its own stream to one scheduler",
    defaultRuns: 2_000,
    targets: {
      auction_1000: { p50: 5, p99: 25 },
      awards_per_second_1000: { p50: 1_000, atLeast: true },
      scheduler_memory_5000: { p50: 500 },
    },
  },
  async (run) => {
    const { report, signal } = run;
    report.vmm = { name: "sim 1", acceleration: "none", reason: "a benchmark" };
    const all: [hosts: number, figures: Figures][] = [];
    for (const hosts of FLEETS)
      await run.with(
        `${hosts} hosts`,
        () => AuctionFleet.start(hosts, signal),
        async (fleet) => {
          all.push([hosts, await measure(fleet, run)]);
        },
      );
    for (const [hosts, figures] of all) {
      report.add(`auction_${hosts}`, "ms", figures.auctionMs);
      report.add(`auction_at_64_${hosts}`, "ms", figures.loadedMs);
      report.add(`awards_per_second_${hosts}`, "1/s", figures.awardsPerSecond);
      if (figures.failed > 0) report.fail(`${hosts} hosts: ${figures.failed} auctions or awards failed`);
      report.add(`messages_${hosts}`, "messages", [figures.messages]);
      report.add(`scheduler_memory_${hosts}`, "MB", [Math.max(...figures.memoryMb)]);
    }
    report.note("an auction is a call of Reserve; no host has the image, so it waits longest");
    report.note("an award is Reserve with its claim, the host's own award, Release; 64 at once");
    report.note("hosts, scheduler, Redis and client share the processors");
    report.section("What it costs", costs(all));
    writeResult("auction-growth.svg", growth("Auctions, by hosts attached", FLEETS, seriesOf(all)));
  },
);

function costs(all: readonly (readonly [number, Figures])[]): string[] {
  const heading = [
    ...["hosts", "messages per auction", "memory at rest", "under load", "processor at rest"],
    ...["per award: scheduler", "Redis", "hosts"],
  ];
  const rows = all.map(([hosts, { messages, memoryMb, restCpu, cpuMs }]) => [
    ...[String(hosts), number(messages), ...memoryMb.map((mb) => `${number(mb)} MB`), `${number(restCpu)} %`],
    ...[cpuMs.scheduler, cpuMs.redis, cpuMs.hosts].map((ms) => `${number(ms)} ms`),
  ]);
  return table([heading, ...rows]);
}

function seriesOf(all: readonly (readonly [number, Figures])[]) {
  const of = (title: string, unit: string, pick: (figures: Figures) => number) => ({
    ...{ title, unit, values: all.map(([, figures]) => pick(figures)) },
  });
  const auction = ({ auctionMs }: Figures) => summarize("auction", "ms", auctionMs);
  return [
    of("auction, p50", "ms", (figures) => auction(figures).p50),
    of("auction, p99", "ms", (figures) => auction(figures).p99),
    of("awards at saturation", "1/s", (figures) => summarize("awards", "1/s", figures.awardsPerSecond).p50),
    of("messages per auction", "", ({ messages }) => messages),
    of("scheduler, memory", "MB", ({ memoryMb }) => memoryMb[1]),
    of("scheduler, processor at rest", "%", ({ restCpu }) => restCpu),
  ];
}
