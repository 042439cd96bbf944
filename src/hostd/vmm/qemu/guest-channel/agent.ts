import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { abortable } from "../../../../lib/runtime/abort.ts";
import { TimeLimit } from "../../../../lib/runtime/wait.ts";
import { wallClockUs } from "../../phase-log.ts";
import type { ListeningPort } from "../../vmm.ts";
import { isApiMessage, readApiMessage } from "../guest-protocol/api-messages.ts";
import { isExecMessage, readExecMessage } from "../guest-protocol/exec-messages.ts";
import { decodeFrame, FrameReader, typeOf } from "../guest-protocol/frame.ts";
import { listenMessage, readListening } from "../guest-protocol/listen-messages.ts";
import {
  ackMessage,
  freezeMessage,
  type GuestMessage,
  type GuestState,
  MESSAGE,
  readMessage,
  resumeMessage,
  signalMessage,
  syncMessage,
  thawMessage,
} from "../guest-protocol/protocol.ts";
import { connectIn } from "../monitor/unix-socket.ts";
import { VM_FILES } from "../process/command-line.ts";
import { ApiConnections } from "./api-connections.ts";
import { ExecSessions } from "./execs/exec-sessions.ts";
import { GuestClock } from "./guest-clock.ts";
import { COST, TokenBucket } from "./token-bucket.ts";

/** How a workload that stands still goes on. */
export interface GoingOn {
  /** Empty: the present one. */
  readonly hostname: string;
  /** Whether in another VM than the one in which it was stopped. */
  readonly isOther: boolean;
}

/** Pause before SYNC is sent again, first and longest: a guest that boots does not answer. */
const SYNC_RETRY_MS = { first: 250, longest: 3_000 };
const SIGNAL_TIMEOUT_MS = 10_000;
/** Limits what one guest sends, so that none delays the others: bytes, or other work that costs as much. */
const COST_PER_SECOND = 8 * 1024 * 1024;
const BURST_COST = 4 * 1024 * 1024;
/** Longest encoded frames that are decoded in this thread; the guest's own are shorter. */
const MAX_CONTROL_BYTES = 4 * 1024;
const MAX_EXEC_BYTES = 20 * 1024;
const ENTROPY_BYTES = 64;
const MAX_PENDING_SIGNALS = 64;
/**
 * When so much waits for a guest that does not read, signals and sizes of its commands are dropped,
 * and its connections are closed. The rest has bounds of its own.
 */
const MAX_UNSENT_BYTES = 1024 * 1024;

/**
 * The host's end of the channel to one guest's agent. It ignores messages until the guest has
 * answered its SYNC, as the pipe may hold some of an earlier session.
 */
export class Agent {
  clock = new GuestClock();
  state: GuestState | undefined;
  /** Called with frames of lines, encoded, in order. */
  onLines: (frame: Buffer) => void = () => {};
  /** Called with the states of ports, after {@link listen}. */
  onListening: (ports: readonly ListeningPort[]) => void = () => {};
  readonly execs = new ExecSessions((message, mayBeDropped) => {
    const { destroyed, writableLength } = this.#socket;
    const isBehind = writableLength > MAX_UNSENT_BYTES;
    if (!destroyed && !(mayBeDropped && isBehind)) this.#socket.write(message);
  });
  readonly connections = new ApiConnections((message) => {
    if (this.#socket.destroyed || this.#socket.writableLength > MAX_UNSENT_BYTES) return false;
    this.#socket.write(message);
    return true;
  });
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #nonce = randomBytes(8).readBigUInt64LE() | 1n;
  readonly #waiters = new Set<Waiter>();
  readonly #signals = new Map<number, (errno: number) => void>();
  readonly #rate = new TokenBucket(COST_PER_SECOND, BURST_COST);
  readonly #pauses = new Set<string>();
  #ratePause: NodeJS.Timeout | undefined;
  #isClosed = false;
  #nextRequest = 1;
  #runSentUs = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    // "close" follows.
    socket.on("error", () => {});
    socket.on("data", (chunk) => this.#onData(chunk));
    socket.once("close", () => this.#onClose());
  }

  static async connect(runDir: string): Promise<Agent> {
    return new Agent(await connectIn(runDir, VM_FILES.agent));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Begins a session: asks for the guest's state until it answers, and for lines after `ack`. */
  async sync(ack: number, signal: AbortSignal): Promise<GuestState> {
    // The zero ends a frame that an earlier session may have cut off.
    const message = Buffer.concat([Buffer.of(0), syncMessage(this.#nonce, ack)]);
    let pauseMs = SYNC_RETRY_MS.first;
    let timer: NodeJS.Timeout | undefined;
    const send = (): void => {
      this.#socket.write(message);
      timer = setTimeout(send, pauseMs);
      pauseMs = Math.min(pauseMs * 2, SYNC_RETRY_MS.longest);
    };
    send();
    try {
      return await this.waitFor(() => true, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for a state. Rejects when the channel ends, or with the signal's reason. */
  async waitFor(matches: (state: GuestState) => boolean, signal?: AbortSignal): Promise<GuestState> {
    if (this.state && matches(this.state)) return this.state;
    if (this.#isClosed) throw closedError();
    const { promise, resolve, reject } = Promise.withResolvers<GuestState>();
    const waiter = { matches, resolve, reject };
    this.#waiters.add(waiter);
    try {
      return await abortable(promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** Sends a RUN or WARM_UP message, made for the present time. */
  run(make: (nowUs: number) => Buffer): void {
    this.#runSentUs = wallClockUs();
    this.#socket.write(make(this.#runSentUs));
  }

  /** Sends a signal to the workload. Returns the guest's errno; 0 also when it has ended. */
  async signal(signal: number): Promise<number> {
    if (this.#isClosed) return 0;
    if (this.#signals.size >= MAX_PENDING_SIGNALS) throw new Error("too many signals wait for the guest");
    const request = this.#nextRequest++;
    const { promise, resolve } = Promise.withResolvers<number>();
    const message = `the guest has not confirmed the signal within ${SIGNAL_TIMEOUT_MS} ms`;
    using limit = new TimeLimit(SIGNAL_TIMEOUT_MS, undefined, () => new Error(message));
    this.#signals.set(request, resolve);
    this.#socket.write(signalMessage(request, signal));
    try {
      return await abortable(promise, limit.signal);
    } finally {
      this.#signals.delete(request);
    }
  }

  /** Kills commands and stops the workload. @param closes ends its connections with others */
  async freeze(closes: boolean, signal: AbortSignal): Promise<GuestState> {
    this.connections.close();
    this.execs.close("the machine is being saved");
    this.#socket.write(freezeMessage(closes));
    return await this.waitFor(({ isFrozen, state }) => isFrozen || state !== "running", signal);
  }

  /**
   * Gives a guest whose workload stands still its clock, entropy and hostname. Resolves when the
   * guest has confirmed that these are new.
   */
  async renew({ hostname, isOther }: GoingOn, signal: AbortSignal): Promise<GuestState> {
    const nonce = randomBytes(8).readBigUInt64LE() | 1n;
    const entropy = randomBytes(ENTROPY_BYTES);
    this.#socket.write(
      resumeMessage({ nonce, hostTimeUs: wallClockUs(), entropy, hostname, closes: isOther }),
    );
    return await this.waitFor(({ resumed, state }) => resumed === nonce || state !== "running", signal);
  }

  /** Lets the workload go on. */
  async thaw(signal: AbortSignal): Promise<GuestState> {
    this.#socket.write(thawMessage());
    return await this.waitFor(({ isFrozen }) => !isFrozen, signal);
  }

  /** Lets the guest forget lines up to `number`. */
  ack(number: number): void {
    if (!this.#socket.destroyed) this.#socket.write(ackMessage(number));
  }

  /** Asks for the states of ports, and for each change of them. */
  listen(ports: readonly number[]): void {
    if (!this.#socket.destroyed) this.#socket.write(listenMessage(ports));
  }

  setPaused(isPaused: boolean): void {
    this.#setPaused("lines", isPaused);
  }

  /** Charges the guest for lines that were stored: reading pauses when they were too many. */
  charge(lines: number): void {
    this.#charge(lines * COST.line);
  }

  /** Starts the clock's estimate anew. Call it when the guest was paused. */
  resetClock(): void {
    this.clock = new GuestClock();
  }

  /** Ends the session; the guest goes on. */
  close(): void {
    this.#socket.destroy();
  }

  #setPaused(reason: "lines" | "rate", isPaused: boolean): void {
    if (isPaused) this.#pauses.add(reason);
    else this.#pauses.delete(reason);
    if (this.#pauses.size > 0) this.#socket.pause();
    else this.#socket.resume();
  }

  #onData(chunk: Buffer): void {
    let cost = chunk.length;
    for (const frame of this.#reader.push(chunk)) {
      if (typeOf(frame) === MESSAGE.logs) {
        cost += COST.frame;
        // Before the guest's answer, they are of an earlier session.
        if (this.state) this.onLines(frame);
        continue;
      }
      if (isExecMessage(typeOf(frame))) {
        cost += COST.frame;
        const decoded = this.state && frame.length <= MAX_EXEC_BYTES ? decodeFrame(frame) : undefined;
        const message = decoded && readExecMessage(decoded);
        if (message) this.execs.received(message);
        continue;
      }
      if (isApiMessage(typeOf(frame))) {
        cost += COST.frame;
        const decoded = this.state && frame.length <= MAX_EXEC_BYTES ? decodeFrame(frame) : undefined;
        const message = decoded && readApiMessage(decoded);
        if (message) this.connections.received(message);
        continue;
      }
      cost += COST.control;
      const decoded = frame.length <= MAX_CONTROL_BYTES ? decodeFrame(frame) : undefined;
      if (decoded?.type === MESSAGE.listening) {
        if (this.state) this.onListening(readListening(decoded));
        continue;
      }
      const message = decoded && readMessage(decoded);
      if (message) this.#onMessage(message);
    }
    this.#charge(cost);
  }

  #charge(cost: number): void {
    const pauseMs = this.#rate.take(cost, performance.now());
    if (pauseMs === 0) return;
    this.#setPaused("rate", true);
    clearTimeout(this.#ratePause);
    this.#ratePause = setTimeout(() => this.#setPaused("rate", false), pauseMs).unref();
  }

  #onMessage(message: GuestMessage): void {
    const isAnswer = message.kind === "state" && message.nonce === this.#nonce;
    if (!this.state && !isAnswer) return;
    if (message.kind === "signalled") {
      this.#signals.get(message.request)?.(message.errno);
      return;
    }
    this.clock.received(message.nowUs, wallClockUs());
    this.#onState(message);
  }

  #onState(state: GuestState): void {
    if (this.#runSentUs > 0 && state.runAtUs > 0) this.clock.delivered(state.runAtUs, this.#runSentUs);
    this.state = state;
    for (const { matches, resolve } of this.#waiters) if (matches(state)) resolve(state);
  }

  #onClose(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiters) reject(closedError());
    for (const resolve of this.#signals.values()) resolve(0);
    this.connections.close();
    this.execs.close("the machine's VM or its host's daemon ended");
  }
}

interface Waiter {
  readonly matches: (state: GuestState) => boolean;
  readonly resolve: (state: GuestState) => void;
  readonly reject: (cause: Error) => void;
}

function closedError(): Error {
  return new Error("the guest's channel was closed");
}
