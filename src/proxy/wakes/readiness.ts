import type { LinkState } from "../hosts/host-link.ts";
import type { MachineView } from "../hosts/machine-view.ts";
import type { Readiness } from "../machines/choice.ts";
import { prospectOf } from "../machines/machine-state.ts";
import type { Member } from "../routes/port-pool.ts";
import type { MachineRoute } from "../routes/routes.ts";
import type { StartFailure } from "./starts.ts";

/** What is known of a machine besides its route. */
export interface Known {
  /** Of its host. Undefined: nothing yet. */
  readonly view: MachineView | undefined;
  /** Undefined: the host is not known. */
  readonly link: LinkState | undefined;
  readonly isStarting: boolean;
  readonly failure: StartFailure | undefined;
  readonly nowMs: number;
}

/** Returns what is known best: the host's word, unless its stream is lost and the database knows more. */
export function currentView(
  machine: MachineRoute,
  view: MachineView | undefined,
  link: LinkState | undefined,
) {
  const isOld = view !== undefined && link === "lost" && machine.generation > view.generation;
  return view && !isOld ? view : undefined;
}

/** Decides what a machine may do for a request. */
export function readinessOf({ machine, service }: Member, known: Known): Readiness {
  const view = currentView(machine, known.view, known.link);
  const { state, cordoned } = view ?? machine;
  if (cordoned) return "closed";
  if (known.isStarting) return "pending";
  switch (prospectOf(state)) {
    case "running":
      if (!view) return known.link === "lost" ? "failed" : "pending";
      if (!view.ready) return "pending";
      return view.addresses.has(service.internalPort) ? "open" : "closed";
    case "coming":
      return "pending";
    case "passing":
      // These lead to a start by themselves.
      if (state === "restarting" || state === "updating") return "pending";
      return service.autostart ? startable("passing", known) : "autostart_off";
    case "asleep":
      return service.autostart ? startable("asleep", known) : "autostart_off";
    case "none":
      return "closed";
  }
}

function startable(readiness: "asleep" | "passing", { failure, nowMs }: Known): Readiness {
  if (!failure || nowMs >= failure.untilMs) return readiness;
  return failure.isFinal ? "failed" : "pending";
}
