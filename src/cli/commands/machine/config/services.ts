import { type MachineConfig, ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { UsageError } from "../../../session/usage-error.ts";
import type { Port } from "../../port-flag.ts";

/** Services of the flags. */
export interface ServiceFlags {
  readonly port?: readonly Port[];
  readonly autostart?: string;
  readonly autostop?: string;
}

type Services = Pick<MachineConfig, "services" | "extra">;
type Json = Readonly<Record<string, unknown>>;

/** A service, with the members that proxies act on, in Fly's shape. */
interface Entry {
  readonly protocol: string;
  readonly internalPort: number;
  readonly rest: Json;
}

/**
 * Puts the flags over the services of a configuration. Public ports, handlers, autostart and
 * autostop have no typed fields: they are in `extra.services`, at the index of their service.
 *
 * @throws UsageError
 */
export function withServices(base: Services | undefined, flags: ServiceFlags): Services {
  const extra: Json | undefined = base?.extra;
  const beside = Array.isArray(extra?.["services"]) ? extra["services"] : [];
  let entries = (base?.services ?? []).map(
    ({ protocol, internalPort }, i): Entry => ({
      protocol: protocol || "tcp",
      internalPort,
      rest: Object(beside[i]) as Json,
    }),
  );
  for (const each of flags.port ?? [])
    entries = each.removes ? without(entries, each) : withPort(entries, each);
  const proxied = autoOf(flags);
  if (proxied !== undefined) {
    if (entries.length === 0)
      throw new UsageError("--autostart and --autostop are about a service: add -p PORT.");
    entries = entries.map((entry) => ({ ...entry, rest: { ...entry.rest, ...proxied } }));
  }
  const rests = entries.map(({ rest }) => rest);
  const { services: _, ...others } = { ...extra };
  const hasRest = rests.some((rest) => Object.keys(rest).length > 0);
  const all = hasRest ? { ...others, services: rests } : others;
  return {
    services: entries.map(({ protocol, internalPort }) =>
      ServiceConfig.fromPartial({ protocol, internalPort }),
    ),
    extra: Object.keys(all).length > 0 || extra !== undefined ? all : undefined,
  };
}

function autoOf({ autostart, autostop }: ServiceFlags): Json | undefined {
  if (autostart === undefined && autostop === undefined) return undefined;
  const modes: Json = { true: "stop", false: "off" };
  return {
    ...(autostart === undefined ? {} : { autostart: autostart === "true" }),
    ...(autostop === undefined ? {} : { autostop: modes[autostop] ?? autostop }),
  };
}

function withPort(entries: readonly Entry[], port: Port): Entry[] {
  const [first, last] = port.public;
  const range = first === last ? { port: first } : { start_port: first, end_port: last };
  const made = { ...range, ...(port.handlers.length > 0 ? { handlers: [...port.handlers] } : {}) };
  const { protocol, internalPort } = port;
  const at = entries.findIndex((entry) => entry.protocol === protocol && entry.internalPort === internalPort);
  const before = entries[at];
  const rest = { ...before?.rest, ports: [...portsOf(before).filter((each) => !isAt(each, port)), made] };
  const entry = { protocol, internalPort, rest };
  return before ? entries.with(at, entry) : [...entries, entry];
}

/** Takes away a public port, and its service with the last of them. @throws UsageError */
function without(entries: readonly Entry[], port: Port): Entry[] {
  const isMeant = (entry: Entry) =>
    entry.protocol === port.protocol &&
    (port.isExact ? entry.internalPort === port.internalPort : true) &&
    (portsOf(entry).length === 0
      ? entry.internalPort === port.internalPort
      : portsOf(entry).some((each) => isAt(each, port)));
  if (!entries.some(isMeant))
    throw new UsageError(`There is no port ${port.public[0]}/${port.protocol} to remove.`);
  return entries.flatMap((entry) => {
    if (!isMeant(entry)) return [entry];
    const ports = portsOf(entry).filter((each) => !isAt(each, port));
    return ports.length > 0 ? [{ ...entry, rest: { ...entry.rest, ports } }] : [];
  });
}

function portsOf(entry: Entry | undefined): readonly unknown[] {
  const ports = entry?.rest["ports"];
  return Array.isArray(ports) ? ports : [];
}

/** Whether a port of Fly's shape is the public one of the flag. */
function isAt(each: unknown, { public: [first, last] }: Port): boolean {
  const { port, start_port: start = port, end_port: end = port } = Object(each) as Json;
  return start === first && end === last;
}
