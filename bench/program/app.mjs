/**
 * An application that takes some seconds to boot: it makes an index of its documents before it
 * listens, as applications load code and data.
 */
import { createServer } from "node:http";

const DOCUMENTS = 40_000;
const WORDS_EACH = 40;
const PORT = 8080;

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));

/** @type {Map<string, number[]>} */
const index = new Map();
let state = 1;
for (let document = 0; document < DOCUMENTS; document++) {
  for (let word = 0; word < WORDS_EACH; word++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const text = `word-${(state >>> 8) % 5_000}`;
    const found = index.get(text);
    if (found) found.push(document);
    else index.set(text, [document]);
  }
}
const words = [...index.keys()].sort();

const server = createServer((request, response) => {
  request.resume();
  response.end(`${words.length} words\n`);
});
server.listen(PORT, "0.0.0.0", () => process.stdout.write("windhover-bench: running\n"));
