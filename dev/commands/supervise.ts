/** The process behind `npm run up`: a fleet without a terminal, until SIGTERM. */
import { once } from "node:events";
import { main } from "../../tools/lib/main.ts";
import { localFleet } from "../fleet/local.ts";
import { fleetOptions } from "../settings/fleet-options.ts";

// What the parts write is for their owners alone.
process.umask(0o077);

await main(async (signal) => {
  const fleet = localFleet(fleetOptions(process.argv.slice(2), process.env));
  // Keeps the process alive.
  const heartbeat = setInterval(() => undefined, 60_000);
  try {
    await fleet.start(signal);
    process.stdout.write(`${new Date().toISOString()} ready\n`);
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await fleet.stop();
    clearInterval(heartbeat);
    process.stdout.write(`${new Date().toISOString()} stopped\n`);
  }
});
