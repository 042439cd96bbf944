import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { Absence } from "./absence.ts";

const away = (message: string) =>
  new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", message, {}, { cause: new Error(message) });
const LOST = away("Connection dropped");
const REFUSED = away("No connection established");

let laterMs = 0;
const said: string[] = [];
const open = () =>
  new Absence({ signal: new AbortController().signal, say: (line: string) => void said.push(line) });

beforeEach(() => {
  [laterMs, said.length] = [0, 0];
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
});
afterEach(() => vi.restoreAllMocks());

test("goes on for half a minute without the API, and no longer", async () => {
  const absence = open();
  absence.over();
  await absence.pause(LOST);
  laterMs += 20_000;
  await absence.pause(REFUSED);
  laterMs += 20_000;

  await expect(absence.pause(REFUSED)).rejects.toBe(REFUSED);
  expect(said).toHaveLength(1);
});

test("counts anew when the API was reached meanwhile, although it told nothing", async () => {
  const absence = open();
  absence.over();
  for (let i = 0; i < 3; i++) {
    laterMs += 40_000;
    await absence.pause(LOST);
  }

  expect(said).toHaveLength(3);
});

test("does not wait for an API that was never there, nor after other errors", async () => {
  const other = new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", "there is none");

  await expect(open().pause(REFUSED)).rejects.toBe(REFUSED);
  await expect(open().pause(other)).rejects.toBe(other);
});
