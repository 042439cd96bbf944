/** The least that a proxy by Node's own server and client is: what it adds is what no proxy by Node can be below. */
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "../../lib/child.ts";

export type NodeProxyFunctions = typeof functions;

const functions = {
  /** Passes requests on to a server. Returns where it listens. @param upstream `host:port` */
  async listen(upstream: string): Promise<string> {
    const agent = new Agent({ keepAlive: true, scheduling: "lifo" });
    const [host, port] = [upstream.slice(0, upstream.lastIndexOf(":")), upstream.split(":").at(-1)];
    const server = createServer((message, answer) => {
      const { method, url, headers } = message;
      const options = { agent, host, port, method, path: url, headers };
      const sent = request(options, (received) => {
        answer.writeHead(received.statusCode ?? 502, received.rawHeaders);
        received.pipe(answer);
      });
      sent.on("error", () => answer.destroy());
      message.pipe(sent);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
};
serve(functions);
