import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { openWire } from "../../lib/grpc/wire.ts";
import { backoffMs } from "../../lib/runtime/backoff.ts";
import { type Logger, logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { newsFromProto, ordersToProto } from "./convert-hosts.ts";
import type { HostLink } from "./host-link.ts";

const RETRY = { firstMs: 50, maxMs: 2_000 };
/** From connecting to the first message. */
const WELCOME_TIMEOUT_MS = 5_000;
/** Hosts say something every 5 s. */
const SILENCE_LIMIT_MS = 15_000;

/** Keeps one stream to a host open, until `signal` aborts. */
export async function attachToHost(
  client: HostServiceClient,
  link: HostLink,
  facts: { readonly host: string },
  signal: AbortSignal,
): Promise<void> {
  const log = logger.with(facts);
  let failures = 0;
  while (!signal.aborted) {
    const { isWelcome, fault } = await stream(client, link, log, signal);
    // Another connection may serve the link by now.
    if (signal.aborted) return;
    link.lost();
    const isReplaced = fault?.reason === "PROXY_REPLACED";
    if (isReplaced) log.warn("another proxy has the name of this one: give each a PROXY_ID of its own");
    // Two of one name would take each other's place as fast as they can.
    else if (isWelcome) failures = 0;
    await sleep(backoffMs(RETRY, failures++), signal);
  }
}

/** Runs one stream to its end. @returns whether the host has said anything, and how it has ended */
async function stream(
  client: HostServiceClient,
  link: HostLink,
  log: Logger,
  signal: AbortSignal,
): Promise<{ readonly isWelcome: boolean; readonly fault?: Fault | undefined }> {
  const { promise, resolve } = Promise.withResolvers<Fault | undefined>();
  let isWelcome = false;
  let timer: NodeJS.Timeout | undefined;
  try {
    openWire(client, client.attachProxy, { timeoutMs: Number.POSITIVE_INFINITY, signal }, (wire) => {
      timer = setTimeout(() => wire.fail(silent(WELCOME_TIMEOUT_MS)), WELCOME_TIMEOUT_MS);
      // What lies in memory while the host is behind is bounded by the machines that it has.
      link.opened((orders) => void wire.send(ordersToProto(orders)));
      return {
        received(message) {
          if (isWelcome) timer?.refresh();
          else {
            isWelcome = true;
            clearTimeout(timer);
            timer = setTimeout(() => wire.fail(silent(SILENCE_LIMIT_MS)), SILENCE_LIMIT_MS);
            log.debug("attached to a host");
          }
          if (!signal.aborted) link.received(newsFromProto(message));
        },
        drained() {},
        finished: () => wire.end(),
        closed: resolve,
      };
    });
    const fault = await promise;
    if (!signal.aborted) log.debug("a host's stream has ended", { error: fault });
    return { isWelcome, fault };
  } catch (error) {
    if (!signal.aborted) log.debug("a host's stream could not be opened", { error });
  } finally {
    clearTimeout(timer);
  }
  return { isWelcome };
}

function silent(ms: number): Fault {
  return new Fault("DEADLINE_EXCEEDED", "HOST_SILENT", `the host has said nothing for ${ms} ms`);
}
