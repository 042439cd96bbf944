import type { SetTimer } from "./run-auction.ts";

/**
 * Sets a timer of this process.
 *
 * The event loop runs timers before it reads sockets. After a stall, answers that have arrived in time
 * would be read too late for their auction. The extra immediate lets them be read first.
 */
export const setTimer: SetTimer = (ms, fn) => {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    immediate = setImmediate(fn);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
};
