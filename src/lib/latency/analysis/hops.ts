import { inherited, type Node } from "./span-tree.ts";

/** Time of an operation in which no span but its own ran. */
export const UNEXPLAINED = "unexplained";

/** Queries of no step. They are known by an attribute, not by their names. */
const DATABASE = "database";

/** A hop and the spans whose own time belongs to it. */
interface Hop {
  readonly name: string;
  readonly spans?: RegExp;
  /** Whether what has no name of its own below such a span belongs to it too, e.g. a query of a commit. */
  readonly isStep?: boolean;
}

/** In the order of a wake, with the create of its machine before it and its stop behind. */
const HOPS: readonly Hop[] = [
  { name: "proxy queue", spans: /^proxy\.queue$/ },
  { name: "proxy", spans: /^proxy\.(?:request|wake|start|connection)$/ },
  { name: "api queue", spans: /^api\.turn$/ },
  { name: "api", spans: /^api\.(?:start|create|stop|suspend|acquire|acquire\.step)$/ },
  { name: "preflight", spans: /^api\.preflight$/, isStep: true },
  { name: "resolve image", spans: /^(?:api\.resolve_image|saga\.create\.resolve)$/, isStep: true },
  { name: "auction", spans: /^(?:saga\.create\.reserve|scheduler\.auction)$/, isStep: true },
  { name: "bid", spans: /^(?:scheduler|hostd)\.bid$/, isStep: true },
  { name: "host", spans: /^(?:saga\.create\.award|hostd\.award)$/, isStep: true },
  { name: "release", spans: /^saga\.create\.release$/, isStep: true },
  { name: "pull", spans: /^imagecache\.(?:pull|resolve|download|queue|wait)$/, isStep: true },
  { name: "build image", spans: /^imagecache\.(?:flatten|squash)$/, isStep: true },
  { name: "prepare", spans: /^saga\.create\.prepare$/, isStep: true },
  { name: "commit", spans: /^saga\.create\.commit$/, isStep: true },
  { name: "launch", spans: /^saga\.create\.launch$/, isStep: true },
  { name: "undo", spans: /^saga\.create\..*\.undo$/, isStep: true },
  { name: "saga", spans: /^saga\./ },
  { name: DATABASE },
  { name: "call handling", spans: /^rpc\.(?:receive|send)$/ },
  { name: "network", spans: /^rpc\.(?:request|response)$/ },
  { name: "request queue", spans: /^hostd\.queue$/ },
  { name: "hostd", spans: /^hostd\.(?:start|acquire|stop|suspend)$/ },
  { name: "start queue", spans: /^hostd\.start_queue$/ },
  { name: "last VM", spans: /^hostd\.teardown$/ },
  { name: "admission", spans: /^hostd\.(?:admit|ports)$/ },
  { name: "store", spans: /^(?:hostd\.store|vmm\.run)$/ },
  { name: "failed path", spans: /^vmm\.\w+_failed$/ },
  { name: "claim", spans: /^vmm\.claim$/ },
  { name: "prepare VM", spans: /^vmm\.prepare$/ },
  { name: "spawn", spans: /^vmm\.spawn$/ },
  { name: "restore", spans: /^vmm\.restore$/ },
  { name: "disk swap", spans: /^vmm\.swap$/ },
  { name: "resume", spans: /^vmm\.(?:ports|resume)$/ },
  { name: "guest boot", spans: /^guest\.(?:boot|modules|network|scratch)$/ },
  { name: "guest disk", spans: /^guest\.disk$/ },
  { name: "guest mount", spans: /^guest\.mount$/ },
  { name: "guest exec", spans: /^guest\.exec$/ },
  { name: "guest", spans: /^guest\./ },
  { name: "simulated VM", spans: /^sim\./ },
  { name: "report", spans: /^vmm\.report$/ },
  { name: "watch", spans: /^hostd\.watch$/ },
  { name: "readiness", spans: /^proxy\.readiness$/ },
  { name: "application", spans: /^proxy\.application$/ },
  { name: "grace", spans: /^hostd\.(?:stop\.)?grace$/ },
  { name: "kill", spans: /^hostd\.(?:stop\.)?kill$/ },
  { name: "freeze", spans: /^vmm\.freeze$/ },
  { name: "save", spans: /^(?:hostd\.save|vmm\.save\w*)$/ },
  { name: "tear down", spans: /^hostd\.remove_vm$/ },
];

/** Names of hops in the order of an operation. Others are names of services. */
export const HOP_NAMES: readonly string[] = [UNEXPLAINED, ...HOPS.map(({ name }) => name)];

/**
 * Names the part of the system that a span's own time belongs to. Of a call's client span that is
 * the network and both queues, as the server has a span of its own. What has no name belongs to the
 * step that it is part of, and otherwise to its service.
 *
 * @param operation whose own time is unexplained
 */
export function hopOf(node: Node, operation?: Node): string {
  if (node === operation) return UNEXPLAINED;
  const named = find(node.span.name);
  if (named) return named.name;
  const step = stepAbove(node, operation);
  if (step) return step.name;
  if (node.span.attributes["db.system.name"] !== undefined) return DATABASE;
  if (node.span.kind === "client" && node.span.name.includes("/")) return "network";
  return node.span.service;
}

/** Where a node is, and what it may be part of. */
interface Place {
  readonly depth: number;
  /** The nearest span at or above it that has a hop of its own, sagas apart. */
  readonly named: { readonly hop: Hop; readonly depth: number } | undefined;
}

const places = new WeakMap<Node, Place>();

function placeOf(node: Node): Place {
  return inherited<Place>(node, places, ({ span }, above) => {
    const depth = (above?.depth ?? 0) + 1;
    const hop = find(span.name);
    return { depth, named: hop && hop.name !== "saga" ? { hop, depth } : above?.named };
  });
}

/** Returns the nearest step that a node is part of, within the operation. */
function stepAbove(node: Node, operation: Node | undefined): Hop | undefined {
  const named = node.parent && placeOf(node.parent).named;
  // What another operation does is not of the step in which it was begun.
  if (!named?.hop.isStep) return undefined;
  return operation && named.depth <= placeOf(operation).depth ? undefined : named.hop;
}

const known = new Map<string, Hop | undefined>();
/** Names come from whoever may send spans. */
const MAX_KNOWN = 2_000;

function find(name: string): Hop | undefined {
  const hop = known.get(name);
  if (hop || known.has(name)) return hop;
  const found = HOPS.find(({ spans }) => spans?.test(name));
  if (known.size < MAX_KNOWN) known.set(name, found);
  return found;
}
