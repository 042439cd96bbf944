import { InvalidArgumentError } from "commander";

/** A value of `-p`: a port of the guest, and how proxies publish it. */
export interface Port {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
  /** Whether the port of the guest was named: else it is the public one. */
  readonly isExact: boolean;
  /** The first and the last public port. */
  readonly public: readonly [first: number, last: number];
  /** Handlers of a proxy's connections, e.g. `tls`, `http`. */
  readonly handlers: readonly string[];
  /** Takes the port away. */
  readonly removes: boolean;
}

const SYNTAX = /^(\d+)(?:-(\d+))?(?::(\d+))?(?:\/([a-z]+)((?::[a-z0-9_-]+)*))?$/;

/** Collects `8080`, `443:8080/tcp:tls:http`, `53/udp`, `80/tcp:-` of `-p`. */
export function port(raw: string, before: readonly Port[] = []): readonly Port[] {
  const found = SYNTAX.exec(raw);
  const [, first, last = first, inside = first, protocol = "tcp", after = ""] = found ?? [];
  const numbers = [first, last, inside].map(Number);
  const [from = 0, to = 0, internalPort = 0] = numbers;
  if (!numbers.every(isPort) || from > to || (protocol !== "tcp" && protocol !== "udp")) {
    throw new InvalidArgumentError(
      `Write PORT[:MACHINE_PORT][/PROTOCOL[:HANDLER...]] such as 8080, 53/udp or 443:8080/tcp:tls:http; not "${raw}".`,
    );
  }
  const handlers = after.split(":").filter((handler) => handler !== "");
  const removes = handlers.includes("-");
  if (removes && handlers.length > 1)
    throw new InvalidArgumentError(`The handler - removes a port, and stands alone; not "${raw}".`);
  const isExact = found?.[3] !== undefined;
  const made = { protocol, internalPort, isExact, public: [from, to], handlers, removes } satisfies Port;
  return [...before, made];
}

function isPort(value: number): boolean {
  return value >= 1 && value <= 65_535;
}
