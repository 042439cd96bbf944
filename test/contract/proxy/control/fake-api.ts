import { RULES } from "../../../../src/api/service-rules.ts";
import type {
  WatchRoutesRequest,
  WatchRoutesResponse,
} from "../../../../src/gen/windhover/admin/v1/routes.ts";
import { RoutesServiceService } from "../../../../src/gen/windhover/admin/v1/routes.ts";
import { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { serverStream } from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../../src/lib/grpc/server/serve.ts";

/** An api that tells routes, and can be told to send more. */
export class FakeApi {
  /** What each watch has named as its position, oldest first. */
  readonly positions: string[] = [];
  /** Sent to a watch without a position. */
  routes: Partial<WatchRoutesResponse>[] = [];
  readonly #verifier: TokenVerifier;
  #running: Awaited<ReturnType<typeof serve>> | undefined;
  #port = 0;
  #send: (response: Partial<WatchRoutesResponse>) => void = () => {};

  constructor(publicKey: string) {
    this.#verifier = new TokenVerifier(publicKey);
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer({ verifier: this.#verifier, rules: RULES });
    server.addService(RoutesServiceService, { watchRoutes: serverStream(this.#watch.bind(this)) });
    this.#running = await serve(server, this.address, 0);
    this.#port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
    this.#running = undefined;
  }

  /** Tells the open watch of a change. */
  tell(response: Partial<WatchRoutesResponse>): void {
    this.#send(response);
  }

  async *#watch({ afterPosition }: WatchRoutesRequest, ctx: { readonly signal: AbortSignal }) {
    this.positions.push(afterPosition);
    const queue = afterPosition === "" ? [...this.routes] : [];
    let wake = () => {};
    this.#send = (response) => {
      queue.push(response);
      wake();
    };
    ctx.signal.addEventListener("abort", () => wake());
    while (!ctx.signal.aborted) {
      for (const response of queue.splice(0))
        yield { apps: [], machines: [], hosts: [], position: "", beginsAnew: false, ...response };
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}
