import {
  type MachineConfig,
  PortConfig,
  ServiceConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Port } from "../../port-flag.ts";
import { serviceFromExtra } from "./config-file.ts";

/** Services of the flags. */
export interface ServiceFlags {
  readonly port?: readonly Port[];
  readonly autostart?: string;
  readonly autostop?: string;
}

type Services = Pick<MachineConfig, "services" | "extra">;
type Json = Readonly<Record<string, unknown>>;

/** A service, and what `extra.services` keeps at its index. */
interface Entry {
  readonly service: ServiceConfig;
  readonly rest: Json;
}

/** A port of a service, and what `extra` keeps at its index. */
interface PortEntry {
  readonly port: PortConfig;
  readonly rest: Json;
}

/**
 * Puts the flags over the services of a configuration. What `extra` keeps of a service or a port stays
 * at the index that it has then.
 *
 * @throws UsageError
 */
export function withServices(base: Services | undefined, flags: ServiceFlags): Services {
  const { services = [], extra } = base ?? {};
  const isAny = flags.port !== undefined || flags.autostart !== undefined || flags.autostop !== undefined;
  if (!isAny) return { services, extra };
  const kept = listOf(extra?.["services"]);
  let entries = services.map((service, i): Entry => {
    const rest = Object(kept[i]) as Json;
    return serviceFromExtra(service, rest) ?? { service, rest };
  });
  for (const each of flags.port ?? [])
    entries = each.removes ? without(entries, each) : withPort(entries, each);
  const all = withAuto(entries, flags);
  const { services: _, ...others } = { ...extra };
  const left = {
    ...others,
    ...keptAs(
      "services",
      all.map(({ rest }) => rest),
    ),
  };
  return {
    services: all.map(({ service }) => ({ ...service, protocol: service.protocol || "tcp" })),
    extra: Object.keys(left).length > 0 || extra !== undefined ? left : undefined,
  };
}

/** Sets autostart and autostop of all TCP services: proxies see no UDP traffic. @throws UsageError */
function withAuto(entries: readonly Entry[], { autostart, autostop }: ServiceFlags): readonly Entry[] {
  if (autostart === undefined && autostop === undefined) return entries;
  const isProxied = ({ service }: Entry) => service.protocol !== "udp";
  if (!entries.some(isProxied))
    throw new UsageError("--autostart and --autostop are about a TCP service: add -p PORT.");
  const modes: Readonly<Record<string, string>> = { true: "stop", false: "off" };
  const auto = {
    ...(autostart === undefined ? {} : { autostart: autostart === "true" }),
    ...(autostop === undefined ? {} : { autostop: modes[autostop] ?? autostop }),
  };
  return entries.map((entry) =>
    isProxied(entry) ? { ...entry, service: { ...entry.service, ...auto } } : entry,
  );
}

function withPort(entries: readonly Entry[], flag: Port): Entry[] {
  const [first, last] = flag.public;
  const range = first === last ? { port: first } : { startPort: first, endPort: last };
  const port = PortConfig.fromPartial({ ...range, handlers: [...flag.handlers] });
  const { protocol, internalPort } = flag;
  const at = entries.findIndex(
    ({ service }) => (service.protocol || "tcp") === protocol && service.internalPort === internalPort,
  );
  const before = entries[at] ?? { service: ServiceConfig.fromPartial({ protocol, internalPort }), rest: {} };
  const others = portsOf(before).filter((each) => !isAt(each, flag));
  const entry = withPorts(before, [...others, { port, rest: {} }]);
  return at < 0 ? [...entries, entry] : entries.with(at, entry);
}

/** Takes away a public port, and its service with the last of them. @throws UsageError */
function without(entries: readonly Entry[], flag: Port): Entry[] {
  const isMeant = (entry: Entry) =>
    (entry.service.protocol || "tcp") === flag.protocol &&
    (flag.isExact ? entry.service.internalPort === flag.internalPort : true) &&
    (entry.service.ports.length === 0
      ? entry.service.internalPort === flag.internalPort
      : portsOf(entry).some((each) => isAt(each, flag)));
  if (!entries.some(isMeant))
    throw new UsageError(`There is no port ${flag.public[0]}/${flag.protocol} to remove.`);
  return entries.flatMap((entry) => {
    if (!isMeant(entry)) return [entry];
    const ports = portsOf(entry).filter((each) => !isAt(each, flag));
    return ports.length > 0 ? [withPorts(entry, ports)] : [];
  });
}

function portsOf({ service, rest }: Entry): readonly PortEntry[] {
  const kept = listOf(rest["ports"]);
  return service.ports.map((port, i) => ({ port, rest: Object(kept[i]) as Json }));
}

function withPorts({ service, rest: { ports: _, ...rest } }: Entry, ports: readonly PortEntry[]): Entry {
  return {
    service: { ...service, ports: ports.map(({ port }) => port) },
    rest: {
      ...rest,
      ...keptAs(
        "ports",
        ports.map((each) => each.rest),
      ),
    },
  };
}

/** Whether a port is the public one of the flag. */
function isAt({ port }: PortEntry, { public: [first, last] }: Port): boolean {
  return (port.startPort || port.port) === first && (port.endPort || port.port) === last;
}

/** Returns a member with what `extra` keeps of each entry of a list; none when it keeps nothing. */
function keptAs(name: string, rests: readonly Json[]): Json {
  return rests.some((rest) => Object.keys(rest).length > 0) ? { [name]: rests } : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
