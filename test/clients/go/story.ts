import type { Json } from "./grpcurl.ts";

/** Values that one call makes and another one uses. */
export interface Story {
  readonly app: string;
  readonly image: string;
  /** Organisation of the token. */
  readonly org: string;
  /** Name of the first host. */
  readonly host: string;
  readonly registry: string;
  machine: string;
  instance: string;
  nonce: string;
  token: string;
}

/** A call of an RPC that succeeds, and one that fails. */
export interface Rpc {
  readonly method: string;
  /** Requests of the call that succeeds; undefined: it cannot here, see `fails`. */
  readonly requests: ((story: Story) => readonly Json[]) | undefined;
  /** Part of the answer, or of one of a stream's. */
  readonly answers?: Json;
  /** Keeps values for later calls. */
  readonly learn?: (answer: Json, story: Story) => void;
  /** Answers to wait for, of a stream without an end. */
  readonly enough?: number;
  /** A request that is refused, and the reason that the details have. Undefined: none is. */
  readonly fails: readonly [request: Json | ((story: Story) => Json), reason: string] | undefined;
}
