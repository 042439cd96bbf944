import { effect, signal } from "@preact/signals";
import type { Row } from "../../answers/operations.ts";
import { reload } from "../state/load.ts";
import { parameters, view } from "../state/location.ts";

/** Operations kept in the list. */
const KEPT = 200;
/** Panels follow at most so often. */
const REFRESH_MS = 5_000;

export type LiveState = "connecting" | "open" | "lost";

/** Latest operations, newest first. */
export const rows = signal<readonly Row[]>([]);
export const state = signal<LiveState>("connecting");
export const isPaused = signal(false);
/** Operations that came while the list was paused. */
export const held = signal(0);
/** Operations of bursts that were not sent. */
export const missed = signal(0);

let waiting: Row[] = [];

/** Follows what ends, while the view says so. */
export function startLive(): void {
  effect(() => {
    if (!view.value.isLive) return undefined;
    rows.value = [];
    waiting = [];
    held.value = 0;
    missed.value = 0;
    state.value = "connecting";
    const source = new EventSource(`api/live?${parameters.value}`);
    let refresh: ReturnType<typeof setTimeout> | undefined;
    source.addEventListener("open", () => {
      state.value = "open";
    });
    source.addEventListener("error", () => {
      state.value = source.readyState === EventSource.CLOSED ? "lost" : "connecting";
    });
    source.addEventListener("missed", (event) => {
      missed.value += (JSON.parse((event as MessageEvent<string>).data) as { count: number }).count;
    });
    source.addEventListener("operation", (event) => {
      take(JSON.parse((event as MessageEvent<string>).data) as Row);
      refresh ??= setTimeout(() => {
        refresh = undefined;
        // A view of the past does not change.
        if (view.peek().until === "" && view.peek().trace === "") reload();
      }, REFRESH_MS);
    });
    return () => {
      source.close();
      clearTimeout(refresh);
    };
  });
}

export function pause(): void {
  isPaused.value = !isPaused.value;
  if (isPaused.value) return;
  rows.value = [...waiting, ...rows.value].slice(0, KEPT);
  waiting = [];
  held.value = 0;
}

function take(row: Row): void {
  if (isPaused.value) {
    waiting = [row, ...waiting].slice(0, KEPT);
    held.value++;
  } else rows.value = [row, ...rows.value].slice(0, KEPT);
}
