import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";

/** An answer of the console, on its way or here. */
export interface Loaded<T> {
  /** The latest answer, also while the next is on its way. */
  readonly data: T | undefined;
  readonly problem: Problem | undefined;
  readonly isLoading: boolean;
}

/** Why there is no answer. */
export interface Problem {
  readonly kind: "session" | "request" | "unreachable" | "server";
  readonly message: string;
}

/** A query that is slower than this is given up. */
const DEADLINE_MS = 30_000;

/** Counts requests to load everything again. */
const round = signal(0);

/** Loads every answer again that is on the page. */
export function reload(): void {
  round.value++;
}

/**
 * Loads what is at an address, and again whenever the address changes. An older request is given up
 * for a newer one.
 *
 * @param address undefined: there is nothing to load
 */
export function load<T>(address: () => string | undefined): ReadonlySignal<Loaded<T>> {
  const loaded = signal<Loaded<T>>({ data: undefined, problem: undefined, isLoading: true });
  // Other views may have the same address: then the answer stays.
  const current = computed(address);
  effect(() => {
    const url = current.value;
    round.value;
    if (url === undefined) {
      loaded.value = { data: undefined, problem: undefined, isLoading: false };
      return undefined;
    }
    const abort = new AbortController();
    loaded.value = { ...loaded.peek(), isLoading: true };
    request<T>(url, abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) loaded.value = { data, problem: undefined, isLoading: false };
      },
      (error: unknown) => {
        if (!abort.signal.aborted)
          loaded.value = { data: undefined, problem: problemOf(error), isLoading: false };
      },
    );
    return () => abort.abort();
  });
  return loaded;
}

class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Asks the console. @throws Refused; whatever `fetch` throws */
export async function request<T>(url: string, signal: AbortSignal): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const response = await fetch(url, { signal: limit, headers: { accept: "application/json" } });
  if (response.ok) return (await response.json()) as T;
  const message = await explanation(response);
  if (response.status === 401) throw new Refused({ kind: "session", message });
  throw new Refused({ kind: response.status < 500 ? "request" : "server", message });
}

export function problemOf(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return { kind: "server", message: `no answer within ${DEADLINE_MS / 1_000} s` };
  }
  return { kind: "unreachable", message: error instanceof Error ? error.message : String(error) };
}

async function explanation(response: Response): Promise<string> {
  const body = await response.text();
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; violations?: unknown } };
    const violations = Array.isArray(error?.violations) ? error.violations.map(describeViolation) : [];
    if (violations.length > 0) return violations.join("; ");
    if (typeof error?.message === "string") return error.message;
  } catch {
    // Not JSON.
  }
  return `${response.status} ${response.statusText}`;
}

function describeViolation(violation: { field?: unknown; description?: unknown }): string {
  return `${String(violation.field)} ${String(violation.description)}`;
}
