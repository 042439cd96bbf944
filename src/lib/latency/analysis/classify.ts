import type { Kind, Operation } from "../operation.ts";
import type { Span } from "../span.ts";
import { pathOf } from "./critical-path.ts";
import { hopOf, UNEXPLAINED } from "./hops.ts";
import { inherited, type Node, orphansWithin, type SpanTree, subtreeOf, treeOf } from "./span-tree.ts";

/** Spans that are, or are part of the frame of, an operation: of those in each other the outermost is it. */
const FRAMES: readonly (readonly [Kind, RegExp])[] = [
  ["wake", /^proxy\.wake$/],
  ["create", /^(?:windhover\.machines\.v1\.\w+\/CreateMachine|api\.create|saga\.create)$/],
  ["start", /^(?:windhover\.(?:machines|hostd)\.v1\.\w+\/StartMachine|api\.start|hostd\.start)$/],
  ["stop", /^(?:windhover\.(?:machines|hostd)\.v1\.\w+\/StopMachine|api\.stop|hostd\.stop)$/],
  ["suspend", /^(?:windhover\.(?:machines|hostd)\.v1\.\w+\/SuspendMachine|api\.suspend|hostd\.suspend)$/],
];

/** Set on spans of calls that found everything done, or joined what another call had begun. */
const NOTHING_DONE = ["windhover.operation.already", "windhover.operation.joined"];
const REASON = "windhover.error.reason";
const MAX_TEXT = 256;
/** Frames, earliest first, among which the one is looked for that an incomplete trace has torn another from. */
const MAX_HOLDERS = 256;
/** Answers of other hosts in an auction say nothing about the host that did the work. */
const BIDS = /^(?:scheduler|hostd)\.bid$/;

/**
 * Finds the starts, creates, wakes, stops and suspends of a trace, by start.
 *
 * @param spans of one trace, in any order
 * @param receivedMs when the last of them arrived, in milliseconds since the epoch
 */
export function operationsOf(spans: readonly Span[], receivedMs: number): Operation[] {
  const tree = treeOf(spans);
  const ends = tree.nodes.map(({ span }) => span.start_us + span.duration_us);
  const lastUs = ends.reduce((last, each) => Math.max(last, each), 0);
  const skewUs = tree.nodes.reduce((most, node) => Math.max(most, Math.abs(correctionOf(node))), 0);
  const lagMs = Math.max(0, Math.round(receivedMs - lastUs / 1_000));
  const frames = tree.nodes.flatMap((node) => {
    const kind = kindOf(node);
    return kind === undefined ? [] : [{ node, kind }];
  });
  return frames.flatMap(({ node, kind }) => {
    if (isFramed(node, kind, frames)) return [];
    const operation = operationAt(node, kind, tree);
    return operation ? [{ ...operation, skewUs, lagMs }] : [];
  });
}

/** What is known of a node by those above. */
interface Ancestry {
  /** Kind of operation whose frame the span is part of. */
  readonly kind: Kind | undefined;
  readonly kindsAbove: readonly Kind[];
  readonly root: Node;
}

const ancestries = new WeakMap<Node, Ancestry>();

function ancestryOf(node: Node): Ancestry {
  return inherited<Ancestry>(node, ancestries, (each, above) => {
    const { name, kind: ofSpan } = each.span;
    // A client's span has the wait for a connection too, and may be anybody's.
    const kind = ofSpan === "client" ? undefined : FRAMES.find(([, names]) => names.test(name))?.[0];
    if (!above) return { kind, kindsAbove: [], root: each };
    const isNew = above.kind !== undefined && !above.kindsAbove.includes(above.kind);
    const kindsAbove = isNew && above.kind ? [...above.kindsAbove, above.kind] : above.kindsAbove;
    return { kind, kindsAbove, root: above.root };
  });
}

function kindOf(node: Node): Kind | undefined {
  return ancestryOf(node).kind;
}

interface Frame {
  readonly node: Node;
  readonly kind: Kind;
}

/** Whether a span is within another frame of its kind. */
function isFramed(node: Node, kind: Kind, frames: readonly Frame[]): boolean {
  const { kindsAbove, root } = ancestryOf(node);
  if (kindsAbove.includes(kind)) return true;
  // Some span between the two has not arrived.
  if (root.span.parent_span_id === undefined) return false;
  const holders = frames.slice(0, MAX_HOLDERS);
  return holders.some((other) => other.kind === kind && other.node !== node && holds(other.node, node));
}

/** Whether a span may be part of another by time and machine. Of two with the same times, the first holds the other. */
function holds(outer: Node, inner: Node): boolean {
  if (outer.startUs > inner.startUs || outer.endUs < inner.endUs) return false;
  const isLonger = outer.endUs - outer.startUs > inner.endUs - inner.startUs;
  if (!isLonger && outer.span.span_id > inner.span.span_id) return false;
  const [outerId, innerId] = [machineOf(outer), machineOf(inner)];
  return outerId === "" || innerId === "" || outerId === innerId;
}

function operationAt(top: Node, kind: Kind, tree: SpanTree): Omit<Operation, "skewUs" | "lagMs"> | undefined {
  const below = [top, ...orphansWithin(top, tree)].flatMap(subtreeOf);
  const frame = below.filter((node) => kindOf(node) === kind);
  if (frame.some(({ span }) => NOTHING_DONE.some((name) => span.attributes[name] === true))) return undefined;
  const facts = new Facts(top, below);
  // A map: a hop may have the name of a service, and that any name.
  const hops = new Map<string, number>();
  for (const { node, startUs, endUs } of pathOf(top, tree)) {
    const hop = hopOf(node, top);
    hops.set(hop, (hops.get(hop) ?? 0) + endUs - startUs);
  }
  return {
    traceId: top.span.trace_id,
    spanId: top.span.span_id,
    kind,
    startUs: top.startUs,
    durationUs: top.endUs - top.startUs,
    reason: reasonOf(top, frame),
    path: facts.text("windhover.start.path"),
    notFaster: facts.text("windhover.start.not_faster"),
    org: facts.text("windhover.org"),
    app: facts.text("windhover.app"),
    machineId: facts.text("windhover.machine.id"),
    host: facts.host(),
    region: facts.text("windhover.region"),
    image: facts.text("windhover.image.reference") || facts.text("windhover.image.digest"),
    size: facts.text("windhover.machine.size"),
    version: facts.version(kind),
    queueLength: facts.count("windhover.start.queue_length", 0),
    concurrency: facts.count("windhover.operation.concurrency", 0),
    poolSize: facts.count("windhover.pool.size", -1),
    refillMs: facts.count("windhover.pool.refill_ms", -1),
    hops: Object.fromEntries(hops),
    unexplainedUs: hops.get(UNEXPLAINED) ?? 0,
  };
}

/** What the spans of an operation say. The nearest to the operation counts. */
class Facts {
  readonly #below: readonly Node[];
  readonly #all: readonly Node[];

  constructor(top: Node, below: readonly Node[]) {
    const above: Node[] = [];
    for (let node = top.parent; node; node = node.parent) above.push(node);
    this.#below = below.filter(({ span }) => !BIDS.test(span.name));
    this.#all = [...this.#below, ...above];
  }

  text(name: string): string {
    for (const { span } of this.#all) {
      const value = span.attributes[name];
      if (typeof value === "string" && value !== "") return value.slice(0, MAX_TEXT);
    }
    return "";
  }

  count(name: string, fallback: number): number {
    for (const { span } of this.#all) {
      const value = span.attributes[name];
      if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    }
    return fallback;
  }

  /** The host that was last worked on: a create may try several. */
  host(): string {
    const named = this.#below.filter(({ span }) => typeof span.attributes[HOST] === "string");
    const last = named.reduce<Node | undefined>(
      (latest, node) => (latest && latest.startUs >= node.startUs ? latest : node),
      undefined,
    );
    const name = last?.span.attributes[HOST];
    return typeof name === "string" ? name.slice(0, MAX_TEXT) : this.text(HOST);
  }

  /** Of the host for what hosts do, of the api for a create. */
  version(kind: Kind): string {
    const service = kind === "create" ? "api" : "hostd";
    const doer = this.#below.find(({ span }) => span.service === service && span.service_version);
    const any = this.#all.find(({ span }) => span.service_version);
    return ((doer ?? any)?.span.service_version ?? "").slice(0, MAX_TEXT);
  }
}

const HOST = "windhover.host.name";

/** Returns why an operation has failed; empty when it has not. */
function reasonOf(top: Node, frame: readonly Node[]): string {
  const status = top.span.attributes["rpc.status_code"];
  const isFailed = top.span.status === "error" || (typeof status === "string" && status !== "OK");
  if (!isFailed) return "";
  for (const name of [REASON, "error.type"]) {
    for (const { span } of frame) {
      const value = span.attributes[name];
      if (typeof value === "string" && value !== "") return value.slice(0, MAX_TEXT);
    }
  }
  return typeof status === "string" && status !== "OK" ? status : "UNKNOWN";
}

/** Returns by how much a span's clock was corrected: here, or where a guest's time became the host's. */
function correctionOf({ span, skewUs }: Node): number {
  const guest = span.attributes["windhover.guest.clock_skew_us"];
  return typeof guest === "number" && Math.abs(guest) > Math.abs(skewUs) ? guest : skewUs;
}

function machineOf({ span }: Node): string {
  const id = span.attributes["windhover.machine.id"];
  return typeof id === "string" ? id : "";
}
