import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { abortable } from "../../../../lib/runtime/abort.ts";
import { FrameReader } from "./frame.ts";
import { GuestClock } from "./guest-clock.ts";
import {
  ackMessage,
  type GuestLine,
  type GuestMessage,
  type GuestState,
  readMessage,
  signalMessage,
  syncMessage,
} from "./protocol.ts";
import { Allowance } from "./token-bucket.ts";

/** Who hears what a guest says. Called in the order of its words. */
export interface AgentListener {
  onState(state: GuestState): void;
  onLines(lines: readonly GuestLine[]): void;
}

/** After how long the question is repeated while a guest does not answer, first and at most: its first bytes were lost, or it is booting. */
const SYNC_REPEAT_MS = [250, 3_000] as const;
/** What one guest may say, so that none keeps hostd from hearing the others. */
const BYTES_PER_SECOND = 8 * 1024 * 1024;
const BURST_BYTES = 4 * 1024 * 1024;
/** Signals on their way at once; more are refused. */
const MAX_SIGNALS = 64;

/**
 * Our end of the conversation with one guest. Nothing from the guest counts until it has answered our question, so what an earlier
 * conversation left in the pipe cannot be mistaken.
 */
export class Agent {
  /** Translates the guest's times. */
  clock = new GuestClock();
  /** What the guest last said of itself. */
  state: GuestState | undefined;
  /** Who hears it; set it anew at any time. */
  listener: AgentListener;
  /** Resolves when the connection has ended and all that came before has been heard. */
  readonly closed: Promise<void>;
  private readonly socket: Socket;
  private readonly now: () => number;
  private readonly reader = new FrameReader();
  private readonly nonce = randomBytes(8).readBigUInt64LE() | 1n;
  private readonly signals = new Map<number, (errno: number) => void>();
  private readonly allowance = new Allowance(BYTES_PER_SECOND, BURST_BYTES);
  private readonly held = new Set<string>();
  private isSynced = false;
  private nextRequest = 1;
  private runSentUs = 0;

  /** `now` is the host's wall clock in microseconds. */
  constructor(socket: Socket, listener: AgentListener, now: () => number) {
    this.socket = socket;
    this.listener = listener;
    this.now = now;
    // "close" follows, and says all there is to say.
    socket.on("error", () => {});
    socket.on("data", (chunk) => this.take(chunk));
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    void this.closed.then(() => {
      for (const settle of this.signals.values()) settle(0);
      this.signals.clear();
    });
  }

  /** Forgets how the guest's clock relates to ours: it has stood still. */
  restartClock(): void {
    this.clock = new GuestClock();
  }

  /** Asks the guest who it is until it answers; `ack` is the last line that need not be told again. */
  async sync(ack: number, signal: AbortSignal): Promise<void> {
    const question = Buffer.concat([Buffer.of(0), syncMessage(this.nonce, ack)]);
    const [firstMs, longestMs] = SYNC_REPEAT_MS;
    let pauseMs: number = firstMs;
    let timer: NodeJS.Timeout | undefined;
    const ask = (): void => {
      if (!this.isSynced) this.socket.write(question);
      timer = setTimeout(ask, pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestMs);
    };
    ask();
    try {
      await this.answered(signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a RUN message, made by `make` for the present moment. */
  run(make: (nowUs: number) => Buffer): void {
    this.runSentUs = this.now();
    this.socket.write(make(this.runSentUs));
  }

  /** Sends a signal to the workload; resolves with 0, or the errno the guest met, or 0 when the guest ended meanwhile. */
  async signal(signal: number, timeoutMs: number): Promise<number> {
    if (this.signals.size >= MAX_SIGNALS) throw new Error("too many signals wait for the guest");
    const request = this.nextRequest++;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.signals.delete(request);
        reject(new Error(`the guest has not confirmed the signal within ${timeoutMs} ms`));
      }, timeoutMs);
      this.signals.set(request, (errno) => {
        clearTimeout(timer);
        resolve(errno);
      });
      this.socket.write(signalMessage(request, signal));
    });
  }

  /** Lets the guest forget lines up to `number`. */
  ack(number: number): void {
    if (!this.socket.destroyed) this.socket.write(ackMessage(number));
  }

  /** Stops and resumes listening, for when lines come faster than they are taken. */
  setPaused(isPaused: boolean): void {
    this.hold("listener", isPaused);
  }

  /** Ends the conversation; the guest goes on. */
  close(): void {
    this.socket.destroy();
  }

  private answered(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.onSynced = resolve;
    void this.closed.then(() => reject(new Error("the guest's channel was closed")));
    return abortable(promise, signal);
  }

  private onSynced: () => void = () => {};

  private hold(reason: "listener" | "rate", isHeld: boolean): void {
    if (isHeld) this.held.add(reason);
    else this.held.delete(reason);
    if (this.held.size > 0) this.socket.pause();
    else this.socket.resume();
  }

  private take(chunk: Buffer): void {
    const pauseMs = this.allowance.take(chunk.length, performance.now());
    if (pauseMs > 0) {
      this.hold("rate", true);
      setTimeout(() => this.hold("rate", false), pauseMs).unref();
    }
    for (const frame of this.reader.push(chunk)) {
      const message = readMessage(frame);
      if (message) this.hear(message);
    }
  }

  private hear(message: GuestMessage): void {
    const isAnswer = message.kind === "state" && message.nonce === this.nonce;
    if (!this.isSynced && !isAnswer) return;
    if (message.kind === "signalled") {
      this.signals.get(message.request)?.(message.errno);
      this.signals.delete(message.request);
      return;
    }
    this.clock.received(message.nowUs, this.now());
    if (message.kind === "logs") {
      this.listener.onLines(message.lines);
      return;
    }
    if (this.runSentUs > 0 && message.runAtUs > 0) this.clock.delivered(message.runAtUs, this.runSentUs);
    this.isSynced = true;
    this.state = message;
    this.listener.onState(message);
    this.onSynced();
  }
}
