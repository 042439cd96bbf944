import { isIPv4, isIPv6 } from "node:net";

/** Both ends of a client's connection. */
export interface Ends {
  readonly address: string;
  readonly clientPort: number;
  readonly localAddress: string;
  /** Port that the client means. */
  readonly port: number;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const VERSION_2_PROXY = 0x21;
const TCP_OVER = { IPv4: 0x11, IPv6: 0x21, unknown: 0x00 } as const;

/** Returns what the PROXY protocol sends first: the addresses of a connection. */
export function proxyHeader(version: "v1" | "v2", ends: Ends): Buffer {
  return version === "v1" ? Buffer.from(textHeader(ends), "latin1") : binaryHeader(ends);
}

function textHeader({ address, clientPort, localAddress, port }: Ends): string {
  const family = familyOf(address, localAddress);
  if (family === "unknown") return "PROXY UNKNOWN\r\n";
  return `PROXY TCP${family === "IPv4" ? 4 : 6} ${address} ${localAddress} ${clientPort} ${port}\r\n`;
}

function binaryHeader({ address, clientPort, localAddress, port }: Ends): Buffer {
  const family = familyOf(address, localAddress);
  const addresses = family === "unknown" ? [] : [bytesOf(address), bytesOf(localAddress)];
  const ports = family === "unknown" ? [] : [uint16(clientPort), uint16(port)];
  const body = Buffer.concat([...addresses, ...ports]);
  return Buffer.concat([
    SIGNATURE,
    Buffer.from([VERSION_2_PROXY, TCP_OVER[family]]),
    uint16(body.length),
    body,
  ]);
}

function familyOf(...addresses: readonly string[]): "IPv4" | "IPv6" | "unknown" {
  if (addresses.every(isIPv4)) return "IPv4";
  return addresses.every(isIPv6) ? "IPv6" : "unknown";
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.concat([...before, ...zeros, ...after].map(uint16));
}

/** An IPv6 address may end as IPv4 does. */
function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((each) => {
    if (!isIPv4(each)) return [Number.parseInt(each, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = each.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
