import type { Socket } from "node:net";
import { peek } from "../peek.ts";

/** Length 8 and the code 80877103: what a client of Postgres that wants TLS sends first. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
/** The same for encryption by GSSAPI, which a client asks for before TLS. */
const GSS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);
const TIMEOUT_MS = 15_000;
/** Type of the first record of TLS, which clients since Postgres 17 may begin with at once. */
const HANDSHAKE = 22;

/**
 * Agrees to TLS as Postgres does.
 *
 * @param begin gets the connection before the client's first message of TLS
 */
export function agreeToPostgresTls(socket: Socket, begin: () => void): void {
  peek(socket, TIMEOUT_MS, requestOf, (request) => {
    // What was read is put back, and taken here.
    if (request === "tls" || request === "gss") socket.read(SSL_REQUEST.length);
    if (request === "direct") begin();
    else if (request === "tls") {
      socket.write("S");
      begin();
    } else if (request === "gss") {
      socket.write("N");
      agreeToPostgresTls(socket, begin);
    } else {
      // Its service wants TLS: a password must not pass in the clear.
      socket.destroy();
    }
  });
}

function requestOf(bytes: Buffer): "tls" | "gss" | "direct" | "other" | undefined {
  if (bytes[0] === HANDSHAKE) return "direct";
  const known = bytes.subarray(0, SSL_REQUEST.length);
  if (known.equals(SSL_REQUEST)) return "tls";
  if (known.equals(GSS_REQUEST)) return "gss";
  const isPart = known.equals(SSL_REQUEST.subarray(0, known.length)) && known.length < SSL_REQUEST.length;
  return isPart ? undefined : "other";
}
