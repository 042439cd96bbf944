import type { Connection } from "../../connection.ts";
import { ProxyError } from "../../proxy-error.ts";
import type { Target } from "../../route.ts";

/** Requires that a service takes requests of a connection. @throws ProxyError `NO_MACHINE`, `BAD_REQUEST` */
export function requireHttp({ app, port, service: { handlers } }: Target, { isTls }: Connection): void {
  if (!handlers.has("http")) {
    const message = `the service of ${app} at port ${port} has no handler http: it takes no requests`;
    throw new ProxyError("NO_MACHINE", message, { status: 421 });
  }
  if (handlers.has("tls") && !isTls) {
    const fix = "use https, or give the service no handler tls at this port";
    throw new ProxyError("BAD_REQUEST", `port ${port} of ${app} takes TLS only: ${fix}`);
  }
}
