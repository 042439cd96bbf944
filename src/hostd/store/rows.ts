import type { SealingKeys } from "../../lib/sealing/sealing-keys.ts";
import { derivedVersion } from "../machines/ids.ts";
import { type Change, type Machine, type MachineEvent, machineId } from "../machines/machine.ts";
import type { MachineConfig } from "../machines/machine-config.ts";
import type { MachineSpec, Version } from "../machines/version.ts";
import type { ChangeRow } from "./store-database.ts";

/** A version in the database: its configuration, which has the users' secrets, is encrypted. */
interface StoredVersion extends Omit<Version, "config" | "instanceId"> {
  /** Base64. */
  readonly sealedConfig: string;
  /** Absent in machines that were created before there were versions. */
  readonly instanceId?: string;
}

type StoredSpec = Omit<MachineSpec, keyof Version | "previous"> & { readonly previous?: StoredVersion } & (
    | StoredVersion
    // As versions before 2 of the schema had it.
    | (Omit<StoredVersion, "sealedConfig"> & { readonly config: MachineConfig })
  );

/** Seals the configurations in a spec. @param id of the machine, to which the result is bound */
export function sealSpec({ previous, ...spec }: MachineSpec, id: string, keys: SealingKeys): string {
  const seal = <V extends Version>({ config, ...rest }: V) => {
    const sealed = keys.seal(Buffer.from(JSON.stringify(config)), contextOf(id));
    return { ...rest, sealedConfig: sealed.toString("base64") };
  };
  const stored: StoredSpec = { ...seal(spec), ...(previous ? { previous: seal(previous) } : {}) };
  return JSON.stringify(stored);
}

/** Reads a spec, sealed or plain. @throws Fault `SEALED_VALUE_UNREADABLE` when its key is missing */
export function unsealSpec(
  text: string,
  id: string,
  keys: SealingKeys,
): { readonly spec: MachineSpec; readonly isNewest: boolean } {
  const { previous, ...stored } = JSON.parse(text) as StoredSpec;
  const instanceId = stored.instanceId ?? derivedVersion(id, stored.createdAtMs);
  if ("config" in stored) return { spec: { ...stored, instanceId }, isNewest: false };
  let isNewest = true;
  const unseal = <V extends StoredVersion>({ sealedConfig, ...rest }: V) => {
    const sealed = Buffer.from(sealedConfig, "base64");
    isNewest &&= keys.isNewest(sealed);
    return { ...rest, config: JSON.parse(keys.unseal(sealed, contextOf(id)).toString()) as MachineConfig };
  };
  const spec = { ...unseal(stored), instanceId };
  if (!previous) return { spec, isNewest };
  const old = { ...unseal(previous), instanceId: previous.instanceId ?? instanceId };
  return { spec: { ...spec, previous: old }, isNewest };
}

/** Makes the row of a change. @param known the machine as it is stored */
export function toRow({ machine, event }: Change, known: Machine | undefined, keys: SealingKeys): ChangeRow {
  const { id, spec, events, ...rest } = machine;
  const status: StoredStatus = { ...rest, instanceId: spec.instanceId };
  return {
    id,
    generation: machine.generation,
    state: machine.state,
    updatedMs: machine.updatedAtMs,
    status: JSON.stringify(status),
    ...(known?.spec === spec ? {} : { spec: sealSpec(spec, id, keys) }),
    isWhole: known?.spec.config !== spec.config,
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

/** A machine without its spec. */
type StoredStatus = Omit<Machine, "id" | "spec" | "events"> & {
  /** Version when it was stored. Absent in rows of earlier versions of hostd. */
  readonly instanceId?: string;
};

/** Makes a machine from its spec and the JSON of the rest. The spec may be of a later version than the rest. */
export function fromParts(id: string, spec: MachineSpec, status: string): Machine {
  const { instanceId = spec.instanceId, ...rest } = JSON.parse(status) as StoredStatus &
    Pick<Machine, "events">;
  const own = instanceId === spec.instanceId ? spec : { ...spec, instanceId };
  return { ...rest, id: machineId(id), spec: own };
}

function contextOf(id: string): string {
  return `configuration of machine ${id}`;
}
