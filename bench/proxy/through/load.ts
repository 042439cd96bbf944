/** Sends requests in a process of its own, so that its work is not the benchmark's. */
import { serve } from "../../lib/child.ts";
import { HttpClient } from "../http-client.ts";

export interface LoadJob {
  readonly address: string;
  readonly host: string;
  /** Each has one request under way at any moment. */
  readonly connections: number;
  readonly durationMs: number;
}

export type LoadFunctions = typeof functions;

const never = new AbortController().signal;

const functions = {
  /** Sends requests for a time. Returns how many were answered, and in which time. */
  async run({ address, host, connections, durationMs }: LoadJob) {
    await using client = new HttpClient(address, connections, never);
    const startedAt = performance.now();
    let answered = 0;
    const work = async () => {
      while (performance.now() - startedAt < durationMs) {
        await client.ask(host);
        answered += 1;
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
    return { answered, wallMs: performance.now() - startedAt };
  },
};
serve(functions);
