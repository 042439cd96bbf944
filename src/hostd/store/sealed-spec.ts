import type { SealingKeys } from "../../lib/sealing/sealing-keys.ts";
import type { MachineConfig, MachineSpec } from "../machines/machine.ts";

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
export function unsealSpec(text: string, id: string, keys: SealingKeys): MachineSpec {
  const stored = JSON.parse(text) as StoredSpec;
  if ("config" in stored) return stored;
  const { sealedConfig, ...rest } = stored;
  const config = keys.unseal(Buffer.from(sealedConfig, "base64"), contextOf(id));
  return { ...rest, config: JSON.parse(config.toString()) as MachineConfig };
}

function contextOf(id: string): string {
  return `configuration of machine ${id}`;
}
