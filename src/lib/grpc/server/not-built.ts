import { Fault } from "../../faults/fault.ts";

/** Refuses a call whose method is not built yet. */
export function notBuilt(method: string): never {
  throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", `${method} is not built yet`, { method });
}
