import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { plainEnvironment } from "../../dev/settings/environment.ts";
import { freePorts } from "../../dev/settings/ports.ts";
import { Part } from "../../dev/supervisor/part.ts";
import { processTree } from "../../tools/lib/processes.ts";
import { findProgram } from "../../tools/lib/programs.ts";
import { cpuMs } from "../lib/measure/cpu.ts";

/** Finds nginx, or says how to install it. It is not installed unasked: Debian starts it at once. */
export function findNginx(): { readonly path: string } | { readonly problem: string } {
  const path = findProgram("nginx");
  return path === undefined
    ? { problem: "nginx is not installed: sudo apt-get install nginx-light" }
    : { path };
}

/** Debian's nginx as a reverse proxy with one worker, in front of one server. */
export class Nginx implements AsyncDisposable {
  readonly address: string;
  readonly #part: Part;

  private constructor(address: string, part: Part) {
    this.address = address;
    this.#part = part;
  }

  /** @param folder for its files @param upstream `host:port` of the server */
  static async start(path: string, folder: string, upstream: string, signal: AbortSignal): Promise<Nginx> {
    mkdirSync(folder, { recursive: true });
    const address = `127.0.0.1:${(await freePorts(1))[0]}`;
    const configuration = join(folder, "nginx.conf");
    writeFileSync(configuration, configurationOf(folder, address, upstream));
    const part = new Part({
      name: "nginx",
      command: [path, "-e", join(folder, "error.log"), "-p", folder, "-c", configuration],
      environment: plainEnvironment(),
      workingDirectory: "/",
      logFile: join(folder, "log"),
      // Also when this process dies: then the worker ends with its master.
      ...{ stopSignal: "SIGTERM", stopGraceMs: 10_000, orphanSignal: "SIGTERM", readyTimeoutMs: 15_000 },
      async ready(until) {
        const answer = await fetch(`http://${address}/`, { signal: until });
        await answer.body?.cancel();
      },
    });
    await part.start(signal);
    return new Nginx(address, part);
  }

  /** Returns the processor time of master and worker, in milliseconds. */
  cpuMs(): number {
    const { process } = this.#part;
    const all = process === undefined ? [] : processTree(process);
    return all.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#part.stop();
  }
}

/** As Debian configures it, but that it keeps connections to the server and no bodies on disk. */
export function configurationOf(folder: string, listen: string, upstream: string): string {
  const files = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path "${join(folder, kind)}";`,
  );
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : "";
  return `${user}
daemon off;
worker_processes 1;
pid "${join(folder, "pid")}";
events { worker_connections 4096; }
http {
  ${files.join("\n  ")}
  access_log "${join(folder, "access.log")}";
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  upstream program {
    server ${upstream};
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen ${listen};
    location / {
      proxy_pass http://program;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }
}
`;
}
