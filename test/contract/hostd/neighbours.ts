import { freePorts } from "../../../dev/settings/ports.ts";
import {
  type AnnounceHostRequest,
  HostReportsServiceService,
  type ReportEventsRequest,
} from "../../../src/gen/windhover/admin/v1/hosts.ts";
import { Image } from "../../../src/gen/windhover/imagecache/v1/image.ts";
import { ImageCacheServiceService } from "../../../src/gen/windhover/imagecache/v1/imagecache.ts";
import type { AttachRequest } from "../../../src/gen/windhover/scheduler/v1/attach.ts";
import { SchedulerServiceService } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { bidiStream, serverStream, unary } from "../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../src/lib/grpc/server/serve.ts";
import { KEYS } from "./fixture.ts";

/** An api with a database: applies the events of a host in order, each once. */
export class FakeApi {
  applied = 0n;
  readonly announcements: AnnounceHostRequest[] = [];
  /** `machine state generation` of each event applied. */
  readonly events: string[] = [];
  /** So many of the next reports are applied and answered with an error. */
  loseAnswers = 0;

  /** Serves it until it is closed. @param port default: one that nobody takes before it is served there again */
  async serve(
    port?: number,
  ): Promise<{ readonly address: string; readonly port: number; close(): Promise<void> }> {
    const [free] = port === undefined ? await freePorts(1) : [port];
    const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
    server.addService(HostReportsServiceService, {
      announceHost: unary((req) => {
        this.announcements.push(req);
        return { recorded: true };
      }),
      reportEvents: unary((req) => ({ appliedSequence: this.#apply(req) })),
    });
    const running = await serve(server, `127.0.0.1:${free}`, 100);
    return { address: `127.0.0.1:${running.port}`, port: running.port, close: running };
  }

  #apply({ events }: ReportEventsRequest): bigint {
    for (const { sequence, machine, status } of events) {
      if (sequence <= this.applied) continue;
      if (sequence !== this.applied + 1n) {
        const facts = { applied: String(this.applied) };
        throw new Fault("FAILED_PRECONDITION", "SEQUENCE_GAP", "events are missing", facts);
      }
      this.applied = sequence;
      const { id, state, generation } = machine ?? status ?? {};
      this.events.push(`${id} ${state} ${generation}`);
    }
    if (this.loseAnswers > 0) {
      this.loseAnswers -= 1;
      throw new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "the answer was lost");
    }
    return this.applied;
  }
}

/** An image cache that has every image. */
export async function serveImages() {
  const pins = new Set<string>();
  /** Pins in each request that replaced some. */
  const parts: number[] = [];
  const image = (digest: string) =>
    Image.fromPartial({ digest, rootfsPath: "/images/x.squashfs", config: { cmd: ["/bin/server"] } });
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
  server.addService(ImageCacheServiceService, {
    ensureImage: serverStream(async function* ({ digest, owner }) {
      pins.add(owner);
      const ready = { image: image(digest), wasCached: true, downloadedBytes: 0n };
      yield { event: { $case: "ready" as const, value: ready } };
    }),
    getImage: unary(({ digest }) => ({ image: image(digest) })),
    listImages: unary(() => ({ images: [], nextPageToken: "", usedBytes: 0n, budgetBytes: 0n })),
    pinImage: unary(({ digest, owner }) => {
      pins.add(owner);
      return { image: image(digest) };
    }),
    unpinImage: unary(({ owner }) => {
      pins.delete(owner);
      return {};
    }),
    reconcilePins: unary((req) => {
      const { afterOwner = "", upToOwner = "~" } = req;
      for (const owner of pins) if (owner > afterOwner && owner <= upToOwner) pins.delete(owner);
      for (const { owner } of req.pins) pins.add(owner);
      parts.push(req.pins.length);
      return { added: 0, dropped: 0, missingDigests: [] };
    }),
    removeImage: unary(() => ({ freedBytes: 0n })),
  });
  const running = await serve(server, "127.0.0.1:0", 100);
  return { address: `127.0.0.1:${running.port}`, pins, parts, close: running };
}

/** A host's answer to a bid. */
type Answer = Extract<AttachRequest["message"], { $case: "offer" | "decline" }>;

/** A scheduler of one host. */
export async function serveScheduler() {
  const asks: ((answer: Answer) => void)[] = [];
  const hints: (readonly number[])[] = [];
  let wake: () => void = () => {};
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
  const attach = bidiStream(async function* (requests: AsyncIterable<AttachRequest>) {
    const waiting = new Map<string, (answer: Answer) => void>();
    void (async () => {
      for await (const { message } of requests) {
        if (message?.$case === "localImages") hints.push(message.value.hints);
        if (message?.$case !== "offer" && message?.$case !== "decline") continue;
        waiting.get(message.value.reservationId)?.(message);
      }
    })().catch(() => {});
    yield { message: { $case: "welcome" as const, value: { scheduler: "test" } } };
    for (;;) {
      const ask = asks.shift();
      if (!ask) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const reservationId = crypto.randomUUID();
      waiting.set(reservationId, ask);
      const value = {
        ...{ reservationId, imageDigest: "", app: "web", traceparent: "" },
        resources: { cpus: 1, memoryMb: 256n, diskMb: 1_024n },
        hold: durationToProto(20_000),
        window: durationToProto(1_000),
      };
      yield { message: { $case: "bidRequest" as const, value } };
    }
  });
  const unused = () => {
    throw new Error("not asked here");
  };
  server.addService(SchedulerServiceService, {
    attach,
    reserve: unused,
    claim: unused,
    release: unused,
    listHosts: unused,
  });
  const running = await serve(server, "127.0.0.1:0", 100);
  /** Sends a bid request, and returns the host's answer. */
  const bid = () =>
    new Promise<Answer>((resolve) => {
      asks.push(resolve);
      wake();
    });
  return {
    address: `127.0.0.1:${running.port}`,
    /** Image hints of the host, by message. */
    hints,
    bid,
    /** Sends a bid request, and returns the hold of the offer. */
    async auction() {
      const answer = await bid();
      if (answer.$case === "decline") throw new Error(`the host declined: ${answer.value.reason}`);
      const { reservationId, offer } = answer.value;
      return { reservationId, epoch: offer?.epoch ?? 0n };
    },
    close: running,
  };
}
