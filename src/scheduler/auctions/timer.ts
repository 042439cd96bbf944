import type { After } from "./auctioneer.ts";

/**
 * A timer of this process, for auctions.
 *
 * Timers come before the sockets in a turn of the event loop. After a stall of this process, answers that have long arrived would be read too late for
 * their auction; so they are read first.
 */
export const after: After = (ms, fn) => {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    immediate = setImmediate(fn);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
};
