/**
 * Auctions in fleets of 10 to 5,000 hosts: how long one takes, how many awards a second, how many messages, and what the scheduler needs.
 *
 * `npm run bench -- auction [--runs N] [--readme]`
 */
import { main } from "../tools/lib/main.ts";
import { Progress } from "../tools/lib/progress.ts";
import { AuctionFleet } from "./auction/fleet.ts";
import { type Figures, measure } from "./auction/measure.ts";
import { writeGrowth } from "./lib/growth.ts";
import { benchOptions } from "./lib/options.ts";
import { Report } from "./lib/report.ts";
import { number, table } from "./lib/table.ts";

const DEFAULT_RUNS = 2_000;
const FLEETS = [10, 100, 1_000, 5_000] as const;
const ROUNDS = 4;

const TARGETS = {
  auction_1000: { p50: 5, p99: 25 },
  awards_per_second_1000: { p50: 1_000, atLeast: true },
  scheduler_memory_5000: { p50: 500 },
} as const;

await main(async (signal) => {
  const { runs, readme } = benchOptions(process.argv.slice(2), DEFAULT_RUNS);
  const report = new Report({
    name: "auction",
    readme,
    title: "Auctions among simulated hosts, each with its own stream to one scheduler",
    targets: TARGETS,
  });
  report.vmm = { name: "sim 1", acceleration: "none", reason: "a benchmark" };
  const progress = new Progress();
  const all = new Map<number, Figures>();
  for (const hosts of FLEETS) {
    const fleet = await progress.step(`${hosts} hosts attach`, () => AuctionFleet.start(hosts, signal));
    try {
      all.set(
        hosts,
        await progress.step(`${hosts} hosts`, (say) => measure(fleet, runs, ROUNDS, say, signal)),
      );
    } finally {
      await progress.step("taking them down", () => fleet.close());
    }
  }
  for (const [hosts, figures] of all) {
    report.add(`auction_${hosts}`, "ms", figures.auctionMs);
    report.add(`auction_at_64_${hosts}`, "ms", figures.loadedMs);
    report.add(`awards_per_second_${hosts}`, "1/s", figures.awardsPerSecond);
    if (figures.failed > 0) report.note(`${hosts} hosts: ${figures.failed} auctions or awards failed`);
    report.add(`messages_${hosts}`, "messages", [figures.messages]);
    report.add(`scheduler_memory_${hosts}`, "MB", [Math.max(...figures.memoryMb)]);
  }
  report.note(
    "an auction is a call of Reserve; no host has the image, so it waits for all it has asked, or 5 ms",
  );
  report.note(
    "an award is Reserve with its claim, the host's own award, Release; 64 under way at any moment",
  );
  report.note(
    "hosts, scheduler, Redis and client share the processors; the host's award is made without a call",
  );
  report.section("What it costs", costs(all));
  report.finish();
  const growth = writeGrowth("auction", "Auctions, by hosts attached", FLEETS, [
    { title: "auction, p50", unit: "ms", values: FLEETS.map((hosts) => p(all.get(hosts)?.auctionMs, 0.5)) },
    { title: "auction, p99", unit: "ms", values: FLEETS.map((hosts) => p(all.get(hosts)?.auctionMs, 0.99)) },
    {
      title: "awards at saturation",
      unit: "1/s",
      values: FLEETS.map((hosts) => p(all.get(hosts)?.awardsPerSecond, 0.5)),
    },
    { title: "messages per auction", unit: "", values: FLEETS.map((hosts) => all.get(hosts)?.messages ?? 0) },
    {
      title: "scheduler, memory",
      unit: "MB",
      values: FLEETS.map((hosts) => all.get(hosts)?.memoryMb[1] ?? 0),
    },
    {
      title: "scheduler, processor at rest",
      unit: "%",
      values: FLEETS.map((hosts) => all.get(hosts)?.restCpu ?? 0),
    },
  ]);
  process.stdout.write(`${growth}\n`);
  return 0;
});

function costs(all: ReadonlyMap<number, Figures>): string[] {
  const heading = [
    ...["hosts", "messages per auction", "memory at rest", "under load", "processor at rest"],
    ...["per award: scheduler", "Redis", "hosts"],
  ];
  const rows = [...all].map(([hosts, { messages, memoryMb, restCpu, cpuMs }]) => [
    String(hosts),
    number(messages),
    ...memoryMb.map((mb) => `${number(mb)} MB`),
    `${number(restCpu)} %`,
    ...[cpuMs.scheduler, cpuMs.redis, cpuMs.hosts].map((ms) => `${number(ms)} ms`),
  ]);
  return [...table([heading, ...rows])];
}

function p(samples: readonly number[] | undefined, share: number): number {
  const sorted = [...(samples ?? [])].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
