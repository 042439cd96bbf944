import { Fault, type Violation } from "../faults/fault.ts";
import { type Digest, parseDigest } from "./digest.ts";

/** An image reference with the usual defaults. */
export interface ImageReference {
  /** Host and port as written, e.g. `127.0.0.1:5000`. Default `docker.io`. */
  readonly registry: string;
  /** Path in the registry, e.g. `library/nginx`. */
  readonly repository: string;
  /** Default `latest` unless there is a digest, which decides alone. */
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_REGISTRY = "docker.io";
const MAX_LENGTH = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::(\d{1,5}))?$/;

/**
 * Parses a reference such as `nginx`, `127.0.0.1:5000/x:tag`, `ghcr.io/o/x@sha256:...` or `x:tag@sha256:...`.
 *
 * @param field the request's field the text came from, for the violations
 * @throws {@link Fault} INVALID_ARGUMENT / `IMAGE_REFERENCE_INVALID` naming everything that is wrong with it
 */
export function parseReference(text: string, field = "image"): ImageReference {
  const problems: string[] = [];
  const { name, tag, digest } = split(text);
  const { registry, repository } = complete(name);
  if (text === "") problems.push("it is empty; write something like nginx:1.27");
  else if (/\s/.test(text)) problems.push("it contains white space");
  else if (/^[a-z]+:\/\//i.test(text)) problems.push(`leave out ${text.slice(0, text.indexOf("://") + 3)}`);
  else problems.push(...nameProblems(registry, repository));
  if (tag !== undefined && !TAG.test(tag)) {
    problems.push(`the tag ${quote(tag)} must be 1 to 128 letters, digits, dots, dashes or underscores`);
  }
  const parsed = digest === undefined ? undefined : parseDigest(digest);
  if (digest !== undefined && parsed === undefined) {
    problems.push(`the digest ${quote(digest)} must be sha256: and 64 lower-case hex digits`);
  }
  if (problems.length > 0) throw unusable(text, field, problems);
  return {
    registry,
    repository,
    ...(tag === undefined && parsed === undefined ? { tag: "latest" } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(parsed === undefined ? {} : { digest: parsed }),
  };
}

/** Writes a reference in full: `docker.io/library/nginx:latest`. */
export function formatReference(ref: ImageReference): string {
  const tag = ref.tag === undefined ? "" : `:${ref.tag}`;
  const digest = ref.digest === undefined ? "" : `@${ref.digest}`;
  return `${ref.registry}/${ref.repository}${tag}${digest}`;
}

/** Whether a registry is on the loopback interface, which uses plain HTTP. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, "").toLowerCase();
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Splits a reference. A tag's colon comes after the last slash, a port's before one. */
function split(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf("@");
  const digest = at < 0 ? {} : { digest: text.slice(at + 1) };
  const rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  if (colon < 0) return { name: rest, ...digest };
  return { name: rest.slice(0, colon), tag: rest.slice(colon + 1), ...digest };
}

function complete(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const named = isHost ? first : DEFAULT_REGISTRY;
  const registry = named === "index.docker.io" ? DEFAULT_REGISTRY : named;
  const path = isHost ? name.slice(slash + 1) : name;
  const official = registry === DEFAULT_REGISTRY && !path.includes("/");
  return { registry, repository: official ? `library/${path}` : path };
}

function nameProblems(registry: string, repository: string): string[] {
  const problems: string[] = [];
  const port = HOST.exec(registry);
  // Digits alone are an IPv4 address, in URLs: `registry.123` and `1.2.3.256` are none.
  if (!port || !URL.canParse(`https://${registry.replace(/:\d+$/, "")}`))
    problems.push(`the registry ${quote(registry)} must be a host name or address, with an optional port`);
  else if (port[1] !== undefined && (Number(port[1]) < 1 || Number(port[1]) > 65_535)) {
    problems.push(`the port ${port[1]} must be from 1 to 65535`);
  }
  const wrong = repository.split("/").filter((part) => !COMPONENT.test(part));
  for (const part of wrong) {
    if (part === "" || repository === "library/") problems.push("a part of the repository's name is empty");
    else if (COMPONENT.test(part.toLowerCase())) problems.push(`${quote(part)} must be lower case`);
    else problems.push(`${quote(part)} must be lower-case letters and digits, joined by . _ or -`);
  }
  if (registry.length + repository.length + 1 > MAX_LENGTH)
    problems.push(`the name is longer than ${MAX_LENGTH} characters`);
  return problems;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function unusable(text: string, field: string, problems: readonly string[]): Fault {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  const violations: Violation[] = problems.map((description) => ({ field, description }));
  return new Fault(
    "INVALID_ARGUMENT",
    "IMAGE_REFERENCE_INVALID",
    `image reference ${JSON.stringify(shown)} is not usable: ${problems.join("; ")}`,
    { reference: shown, problems: problems.join("; ") },
    { violations },
  );
}
