import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import type { MachineState } from "../states.ts";
import {
  type Activity,
  type Decision,
  decideDestroy,
  decidePrepare,
  decideReplace,
  decideStart,
  decideStop,
} from "./decide.ts";

function said(decision: Decision): string {
  return decision.kind === "refuse" ? decision.fault.reason : decision.kind;
}

test.each<[MachineState, Activity | undefined, string]>([
  ["created", undefined, "run"],
  ["stopped", undefined, "run"],
  ["failed", undefined, "run"],
  ["started", undefined, "already"],
  ["creating", undefined, "INVALID_STATE"],
  ["stopping", undefined, "wait"],
  ["restarting", undefined, "run"],
  ["updating", undefined, "wait"],
  ["destroying", undefined, "INVALID_STATE"],
  ["destroyed", undefined, "INVALID_STATE"],
  ["stopped", "start", "join"],
  ["starting", "start", "join"],
  ["started", "start", "already"],
  ["started", "stop", "wait"],
  ["restarting", "restart", "wait"],
  ["updating", "update", "wait"],
  ["stopped", "destroy", "INVALID_STATE"],
])("a start of a %s machine with a %s under way: %s", (state, active, expected) => {
  expect(said(decideStart(machineIn(state), active))).toBe(expected);
});

test.each<[MachineState, Activity | undefined, string]>([
  ["started", undefined, "run"],
  ["stopping", undefined, "run"],
  ["restarting", undefined, "run"],
  ["updating", undefined, "run"],
  ["restarting", "restart", "interrupt"],
  ["updating", "update", "interrupt"],
  ["created", undefined, "run"],
  ["stopped", undefined, "already"],
  ["failed", undefined, "run"],
  ["creating", undefined, "INVALID_STATE"],
  ["destroyed", undefined, "INVALID_STATE"],
  ["stopped", "start", "interrupt"],
  ["starting", "start", "interrupt"],
  ["stopping", "stop", "join"],
  ["started", "destroy", "INVALID_STATE"],
])("a stop of a %s machine with a %s under way: %s", (state, active, expected) => {
  expect(said(decideStop(machineIn(state), active))).toBe(expected);
});

test.each<[MachineState, Activity | undefined, boolean, string]>([
  ["creating", undefined, false, "run"],
  ["created", undefined, false, "run"],
  ["stopped", undefined, false, "run"],
  ["failed", undefined, false, "run"],
  ["destroying", undefined, false, "run"],
  ["started", undefined, false, "MACHINE_RUNNING"],
  ["restarting", undefined, false, "MACHINE_RUNNING"],
  ["restarting", undefined, true, "run"],
  ["updating", "update", true, "interrupt"],
  ["stopped", "start", false, "MACHINE_RUNNING"],
  ["stopping", "stop", false, "MACHINE_RUNNING"],
  ["started", undefined, true, "run"],
  ["starting", "start", true, "interrupt"],
  ["stopping", "stop", true, "interrupt"],
  ["destroying", "destroy", false, "join"],
  ["destroyed", undefined, false, "already"],
])("a destroy of a %s machine with a %s under way, force %s: %s", (state, active, force, expected) => {
  expect(said(decideDestroy(machineIn(state), active, force))).toBe(expected);
});

test.each<[MachineState, Activity | undefined, "restart" | "update", string]>([
  ["started", undefined, "restart", "run"],
  ["stopped", undefined, "restart", "run"],
  ["started", "stop", "restart", "run"],
  ["restarting", "restart", "restart", "join"],
  ["updating", "update", "restart", "run"],
  ["started", undefined, "update", "run"],
  ["created", undefined, "update", "run"],
  ["restarting", "restart", "update", "run"],
  ["updating", "update", "update", "run"],
  ["creating", undefined, "update", "INVALID_STATE"],
  ["stopped", "destroy", "update", "INVALID_STATE"],
  ["destroyed", undefined, "restart", "INVALID_STATE"],
])("of a %s machine with a %s under way, an %s: %s", (state, active, what, expected) => {
  expect(said(decideReplace(machineIn(state), active, what))).toBe(expected);
});

test.each<[MachineState, Activity | undefined, string]>([
  ["creating", undefined, "run"],
  ["created", undefined, "already"],
  ["started", undefined, "already"],
  ["creating", "destroy", "INVALID_STATE"],
  ["destroyed", undefined, "INVALID_STATE"],
])("a prepare of a %s machine with a %s under way: %s", (state, active, expected) => {
  expect(said(decidePrepare(machineIn(state), active))).toBe(expected);
});
