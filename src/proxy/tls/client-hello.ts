/** What a client says first by TLS, as far as a proxy needs it. */
export interface ClientHello {
  /** In lower case, without a final dot. Empty: none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

/** Larger ones do not come from clients: one with post-quantum keys has some 2 KiB. */
const MAX_HELLO_BYTES = 32 * 1024;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const MAX_RECORD_BYTES = 16 * 1024 + 256;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;

/**
 * Reads the first message of a client of TLS: RFC 8446 section 4.1.2.
 *
 * @returns undefined when more bytes are needed, `invalid` when no more bytes would help
 */
export function readClientHello(bytes: Uint8Array): ClientHello | "invalid" | undefined {
  try {
    const message = handshakeOf(bytes);
    return message && helloOf(new Reader(message));
  } catch (error) {
    if (error instanceof Malformed) return "invalid";
    throw error;
  }
}

class Malformed extends Error {}

/** Joins records until they hold the whole message. */
function handshakeOf(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let known = 0;
  let wanted = Number.POSITIVE_INFINITY;
  for (let at = 0; known < wanted; ) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE) throw new Malformed();
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) throw new Malformed();
    if (at + 5 > bytes.length) return undefined;
    const size = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    if (size === 0 || size > MAX_RECORD_BYTES) throw new Malformed();
    const part = bytes.subarray(at + 5, at + 5 + size);
    parts.push(part);
    known += part.length;
    if (wanted === Number.POSITIVE_INFINITY && known >= 4) wanted = 4 + lengthOf(join(parts));
    if (known < wanted && part.length < size) return undefined;
    at += 5 + size;
  }
  return join(parts).subarray(0, wanted);
}

function lengthOf(message: Uint8Array): number {
  const [type, high = 0, middle = 0, low = 0] = message;
  const length = (high << 16) | (middle << 8) | low;
  if (type !== CLIENT_HELLO || length > MAX_HELLO_BYTES) throw new Malformed();
  return length;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}

function helloOf(message: Reader): ClientHello {
  const hello = message.skip(1).vector(3);
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  let [serverName, alpn] = ["", [] as string[]];
  // TLS 1.2 may have none.
  if (hello.isEmpty) return { serverName, alpn };
  for (const extensions = hello.vector(2); !extensions.isEmpty; ) {
    const type = extensions.integer(2);
    const content = extensions.vector(2);
    if (type === SERVER_NAME) serverName = serverNameOf(content);
    if (type === ALPN) alpn = alpnOf(content);
  }
  return { serverName, alpn };
}

function serverNameOf(content: Reader): string {
  for (const names = content.vector(2); !names.isEmpty; ) {
    const type = names.integer(1);
    const name = names.vector(2).text();
    if (type !== HOST_NAME) continue;
    if (name.length > 255 || !/^[A-Za-z0-9_.-]+$/.test(name)) throw new Malformed();
    return name.toLowerCase().replace(/\.$/, "");
  }
  return "";
}

function alpnOf(content: Reader): string[] {
  const protocols: string[] = [];
  for (const list = content.vector(2); !list.isEmpty; ) protocols.push(list.vector(1).text());
  return protocols;
}

/** Reads integers and vectors, and nothing beyond the end. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  skip(bytes: number): this {
    this.#need(bytes);
    this.#at += bytes;
    return this;
  }

  integer(bytes: number): number {
    this.#need(bytes);
    let value = 0;
    for (let count = 0; count < bytes; count++) value = value * 256 + (this.#bytes[this.#at++] ?? 0);
    return value;
  }

  /** Reads a length of so many bytes, and what it says. */
  vector(lengthBytes: number): Reader {
    const length = this.integer(lengthBytes);
    this.#need(length);
    const from = this.#at;
    this.#at += length;
    return new Reader(this.#bytes.subarray(from, this.#at));
  }

  text(): string {
    return Buffer.from(this.#bytes).toString("latin1");
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) throw new Malformed();
  }
}
