import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

type Library = typeof import("@biscuit-auth/biscuit-wasm");
type Values = Record<string, unknown>;

/** The part of the standard that is used here; Node's types lack it. */
declare const WebAssembly: {
  Module: (new (
    bytes: Uint8Array,
  ) => object) & {
    imports(module: object): readonly { readonly module: string; readonly name: string }[];
  };
  Instance: new (
    module: object,
    imports: Readonly<Record<string, Values>>,
  ) => { readonly exports: { __wbindgen_start(): void } };
};

type Glue = Library & Readonly<Values> & { __wbg_set_wasm(exports: object): void };

const GLUE = "./biscuit_bg.js";
/** Optimised code of this module takes 100 MB more and saves a tenth of a millisecond a token. */
const NO_OPTIMISED_CODE = "--liftoff-only";
/** The library writes to the console, which holds a service's log. */
const CONSOLE = /^__wbg_(?:log|debug|info|warn|error)_/;

/**
 * Loads the Biscuit library. The package's own entry imports its WebAssembly as a module, about
 * which Node warns, and writes a line to the console.
 */
export async function loadBiscuit(): Promise<Library> {
  setFlagsFromString(NO_OPTIMISED_CODE);
  const entry = import.meta.resolve("@biscuit-auth/biscuit-wasm");
  const glue: Glue = await import(new URL(GLUE, entry).href);
  const module = new WebAssembly.Module(readFileSync(new URL("./biscuit_bg.wasm", entry)));
  const imports: Record<string, Values> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const own = CONSOLE.test(name) ? () => {} : glue[name];
    // All others are inline snippets that return the time.
    const value = from === GLUE ? own : () => performance.now();
    imports[from] = { ...imports[from], [name]: value };
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
  return glue;
}
