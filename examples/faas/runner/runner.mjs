// Runs in the machine: serves one function, one run at a time, and exits when it has been idle.
import { once } from "node:events";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const MAX_BODY_BYTES = 1024 * 1024;
const { FAAS_ENTRY = "/function/function.js", FAAS_PORT = "8080", FAAS_IDLE_MS = "30000" } = process.env;
const idleMs = Number(FAAS_IDLE_MS);

const { default: handler } = await import(pathToFileURL(FAAS_ENTRY).href);
if (typeof handler !== "function") throw new TypeError(`${FAAS_ENTRY}: export a function as default`);

let isBusy = false;
let idle = setTimeout(exit, idleMs);

const server = createServer(async (request, response) => {
  // A machine that exits is not reached by connections that were kept.
  response.setHeader("connection", "close");
  if (request.url === "/ready") return answer(response, 200, { ready: true });
  if (request.method !== "POST" || request.url !== "/run") {
    return answer(response, 404, { error: "POST /run", code: "NOT_FOUND" });
  }
  if (isBusy) return answer(response, 503, { error: "another run is under way", code: "BUSY" });
  isBusy = true;
  clearTimeout(idle);
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  try {
    const input = await readInput(request);
    const result = await handler(input, { headers: request.headers, signal: gone.signal });
    answer(response, 200, result ?? null);
  } catch (err) {
    console.error(err);
    const message = err instanceof Error ? err.message : String(err);
    answer(response, err.status ?? 500, { error: message, code: err.code ?? "FUNCTION_FAILED" });
  } finally {
    isBusy = false;
    idle = setTimeout(exit, idleMs);
  }
});
server.listen(Number(FAAS_PORT), "0.0.0.0");
await once(server, "listening");
// For tests, which leave the choice of a port to the system.
console.log(`listening on port ${server.address().port}`);

/** Ends the process, and so the machine. A run that has come meanwhile is finished first. */
function exit() {
  server.close(() => process.exit(0));
}
process.on("SIGINT", exit);
process.on("SIGTERM", exit);

/** Reads text of a type `text/...`, otherwise JSON. An empty body is `{}`. */
async function readInput(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw problem(413, "TOO_LARGE", `the body has more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (/^text\//.test(request.headers["content-type"] ?? "")) return text;
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw problem(400, "INVALID_JSON", `the body is not JSON: ${cause.message}`);
  }
}

function problem(status, code, message) {
  return Object.assign(new Error(message), { status, code });
}

function answer(response, status, value) {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(value)}\n`);
}
