import type { SealingKeys } from "../../lib/sealing/sealing-keys.ts";
import {
  type Change,
  type Machine,
  type MachineConfig,
  type MachineEvent,
  type MachineSpec,
  machineId,
} from "../machines/machine.ts";
import type { ChangeRow } from "./store-database.ts";

/** A spec in the database: its configuration, which has the users' secrets, is encrypted. */
type StoredSpec = Omit<MachineSpec, "config"> &
  (
    | { /** Base64. */ readonly sealedConfig: string }
    // As versions before 2 of the schema had it.
    | { readonly config: MachineConfig }
  );

/** Seals the configuration in a spec. @param id of the machine, to which the result is bound */
export function sealSpec({ config, ...rest }: MachineSpec, id: string, keys: SealingKeys): string {
  const sealed = keys.seal(Buffer.from(JSON.stringify(config)), contextOf(id));
  return JSON.stringify({ ...rest, sealedConfig: sealed.toString("base64") } satisfies StoredSpec);
}

/** Reads a spec, sealed or plain. @throws Fault `SEALED_VALUE_UNREADABLE` when its key is missing */
export function unsealSpec(
  text: string,
  id: string,
  keys: SealingKeys,
): { readonly spec: MachineSpec; readonly isNewest: boolean } {
  const stored = JSON.parse(text) as StoredSpec;
  if ("config" in stored) return { spec: stored, isNewest: false };
  const { sealedConfig, ...rest } = stored;
  const sealed = Buffer.from(sealedConfig, "base64");
  const config = JSON.parse(keys.unseal(sealed, contextOf(id)).toString()) as MachineConfig;
  return { spec: { ...rest, config }, isNewest: keys.isNewest(sealed) };
}

/** Makes the row of a change. @param known the machine as it is stored */
export function toRow({ machine, event }: Change, known: Machine | undefined, keys: SealingKeys): ChangeRow {
  const { id, spec, events, ...status } = machine;
  return {
    id,
    generation: machine.generation,
    state: machine.state,
    updatedMs: machine.updatedAtMs,
    status: JSON.stringify(status),
    ...(known?.spec === spec ? {} : { spec: sealSpec(spec, id, keys) }),
    events: `[${events.map(eventText).join()}]`,
    ...(event ? { event: eventText(event) } : {}),
  };
}

/** A machine has the same events in many changes. */
const eventTexts = new WeakMap<MachineEvent, string>();

function eventText(event: MachineEvent): string {
  const known = eventTexts.get(event);
  if (known !== undefined) return known;
  const text = JSON.stringify(event);
  eventTexts.set(event, text);
  return text;
}

/** Makes a machine from its spec and the JSON of the rest. */
export function fromParts(id: string, spec: MachineSpec, status: string): Machine {
  return { ...(JSON.parse(status) as Omit<Machine, "id" | "spec">), id: machineId(id), spec };
}

function contextOf(id: string): string {
  return `configuration of machine ${id}`;
}
