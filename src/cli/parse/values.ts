import { InvalidArgumentError } from "commander";
import { parseDuration } from "../../lib/runtime/duration.ts";

/** `K=V` of `-e` and `-m`, collected. The value may be empty and may contain `=`. */
export function pair(raw: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = raw.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`Write NAME=VALUE, not "${raw}".`);
  return { ...before, [raw.slice(0, at)]: raw.slice(at + 1) };
}

/** A port of the guest: what `-p` takes. */
export interface Port {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

/** `8080`, `8080/tcp`, `53/udp` of `-p`, collected. */
export function port(raw: string, before: readonly Port[] = []): readonly Port[] {
  const [, number = "", protocol = "tcp", rest] = /^(\d+)(?:\/([a-z]+))?(.*)$/.exec(raw) ?? [];
  if (/^\d+:\d+/.test(raw)) {
    const inside = /^\d+:(\d+)/.exec(raw)?.[1] ?? "";
    throw new InvalidArgumentError(
      `The port outside is chosen by the host: write the guest's port only, -p ${inside}.`,
    );
  }
  if (number === "" || rest !== "" || !isPort(Number(number)) || (protocol !== "tcp" && protocol !== "udp")) {
    throw new InvalidArgumentError(
      `Write a port of the guest, 1 to 65535, such as 8080 or 53/udp; not "${raw}".`,
    );
  }
  return [...before, { protocol, internalPort: Number(number) }];
}

/** `512`, `512mb`, `1gb` of `--vm-memory`, in MB. */
export function memoryMb(raw: string): number {
  const [, amount, unit = "mb"] = /^(\d+)\s*(mb?|mib|gb?|gib)?$/i.exec(raw) ?? [];
  const mb = Number(amount) * (unit.toLowerCase().startsWith("g") ? 1_024 : 1);
  if (amount === undefined || !Number.isSafeInteger(mb) || mb > 2 ** 31 - 1) {
    throw new InvalidArgumentError(`Write an amount of memory such as 512, 512mb or 1gb, not "${raw}".`);
  }
  return mb;
}

/** A whole number within bounds. */
export function whole(min: number, max: number): (raw: string) => number {
  return (raw) => {
    const value = /^\d+$/.test(raw) ? Number(raw) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}, not "${raw}".`);
  };
}

/** A length of time in milliseconds: `90`, `90s`, `500ms`, `5m`, `1h`, `7d`. A bare number is seconds, as with flyctl. */
export function duration(raw: string): number {
  const ms = parseDuration(/\d$/.test(raw) ? `${raw}s` : raw);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError(`Write a length of time such as 30s, 500ms or 5m, not "${raw}".`);
}

/** Words separated by commas, and the flag may be given several times. */
export function words(raw: string, before: readonly string[] = []): readonly string[] {
  return [
    ...before,
    ...raw
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== ""),
  ];
}

function isPort(value: number): boolean {
  return value >= 1 && value <= 65_535;
}
