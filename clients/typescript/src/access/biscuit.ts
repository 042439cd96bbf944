import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { here } from "./here.ts";

/** The part of the standard that is used here; Node's types lack it. */
interface WasmApi {
  Module: (new (
    bytes: Uint8Array,
  ) => object) & { imports(module: object): readonly { readonly module: string; readonly name: string }[] };
  Instance: new (
    module: object,
    imports: Readonly<Record<string, Record<string, unknown>>>,
  ) => { readonly exports: { __wbindgen_start(): void } };
}

interface Freed {
  free(): void;
}

/** The part of the library that is used. */
interface Glue {
  readonly Biscuit: {
    fromBase64(
      token: string,
      root: Freed,
    ): Freed & { appendBlock(block: Freed): Freed & { toBase64(): string } };
    block_builder(): Freed & { addCode(code: string): void };
  };
  readonly PublicKey: { fromBytes(bytes: Uint8Array, algorithm: unknown): Freed };
  readonly SignatureAlgorithm: { readonly Ed25519: unknown };
  __wbg_set_wasm(exports: object): void;
}

/** Attenuates tokens. */
export interface BiscuitLibrary {
  attenuate(token: string, publicKey: Uint8Array, code: string): string;
}

const FOLDER = "@biscuit-auth/biscuit-wasm/module";
const GLUE = "./biscuit_bg.js";
/** The library writes to the console. */
const CONSOLE = /^__wbg_(?:log|debug|info|warn|error)_/;

let loading: Promise<BiscuitLibrary> | undefined;

/**
 * Loads the Biscuit library on first use. Its own entry imports WebAssembly as a module, which Node
 * 20 cannot and CommonJS must not.
 */
export function loadBiscuit(): Promise<BiscuitLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<BiscuitLibrary> {
  const folder = findFolder();
  // TypeScript 7.0.2 does not rename imported functions in the argument of an `import()`.
  const entry = pathToFileURL(join(folder, GLUE)).href;
  const glue: Glue & Record<string, unknown> = await import(entry);
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
  const module = new Module(readFileSync(join(folder, "biscuit_bg.wasm")));
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name } of Module.imports(module)) {
    const own = CONSOLE.test(name) ? () => {} : glue[name];
    // All others are inline snippets that return the time.
    const value = from === GLUE ? own : () => performance.now();
    imports[from] = { ...imports[from], [name]: value };
  }
  const { exports } = new Instance(module, imports);
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
  return { attenuate: (...args) => attenuate(glue, ...args) };
}

function attenuate(glue: Glue, token: string, publicKey: Uint8Array, code: string): string {
  const owned: Freed[] = [];
  const own = <T extends Freed>(value: T): T => {
    owned.push(value);
    return value;
  };
  try {
    const root = own(glue.PublicKey.fromBytes(publicKey, glue.SignatureAlgorithm.Ed25519));
    const parent = own(glue.Biscuit.fromBase64(token, root));
    const block = own(glue.Biscuit.block_builder());
    block.addCode(code);
    return own(parent.appendBlock(block)).toBase64();
  } catch (err) {
    // The library throws plain objects, e.g. {"Format":{"Signature":...}}.
    if (err instanceof Error) throw err;
    throw new TypeError(`the token cannot be attenuated: ${JSON.stringify(err)}`);
  } finally {
    for (const value of owned) value.free();
  }
}

/** Finds the package from this one's folder on: its `exports` hide it from CommonJS. */
function findFolder(): string {
  const places = createRequire(join(here, "package.json")).resolve.paths(FOLDER) ?? [];
  const found = places.map((place) => join(place, FOLDER)).find((folder) => existsSync(folder));
  if (found === undefined) throw new Error("the package @biscuit-auth/biscuit-wasm is not installed");
  return found;
}
