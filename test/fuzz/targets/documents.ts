import { parseConfig } from "../../../src/lib/oci/image/config.ts";
import {
  ACCEPTED_MANIFESTS,
  type ImageManifest,
  parseManifest,
} from "../../../src/lib/oci/image/manifest.ts";
import { blaming, hold, type Target } from "../target.ts";

const SUBJECT = { reference: "registry/repository:tag" };
const DIGEST = `sha256:${"a".repeat(64)}`;
const DESCRIPTOR = `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"${DIGEST}","size":1}`;
const JSON_WORDS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '""',
    "null",
    "true",
    "-1",
    "1e999",
    "9007199254740993",
    '"__proto__":',
    '"constructor":',
  ],
  ...['"\\ud800"', '"\\u0000"', '{"a":1,"a":2}', DIGEST, DESCRIPTOR],
];

export const manifestTarget: Target = {
  name: "manifest",
  repair: closeBrackets,
  words: [
    ...JSON_WORDS,
    ...ACCEPTED_MANIFESTS,
    ...[
      '"schemaVersion":2',
      '"mediaType":',
      '"config":',
      '"layers":[',
      '"manifests":[',
      '"platform":{"os":"linux"}',
      '"annotations":',
    ],
  ],
  run: (input) => {
    for (const contentType of ["", ...ACCEPTED_MANIFESTS]) {
      const document = blaming(() => parseManifest(input, contentType, SUBJECT));
      if (document === undefined) continue;
      const count = document.kind === "image" ? document.manifest.layers.length : document.images.length;
      hold(count <= input.length, "there are no more descriptors than input");
    }
  },
};

export const configTarget: Target = {
  name: "config",
  repair: closeBrackets,
  words: [
    ...JSON_WORDS,
    ...[
      '"architecture":"amd64"',
      '"os":"linux"',
      '"config":{',
      '"Env":["A=b"]',
      '"Cmd":[',
      '"Entrypoint":[""]',
      '"User":"1:2"',
    ],
    ...[
      '"Labels":{"__proto__":"x"}',
      '"ExposedPorts":{"80/tcp":{}}',
      '"StopSignal":"SIGRTMIN+3"',
      '"WorkingDir":"a"',
      '"Volumes":{"/d":{}}',
    ],
    `"rootfs":{"type":"layers","diff_ids":["${DIGEST}"]}`,
  ],
  run: (input) => {
    for (const layers of [0, 1]) {
      const config = blaming(() => parseConfig(input, manifest(layers), SUBJECT));
      if (config === undefined) continue;
      hold(config.diffIds.length === layers, "each layer has a digest");
      hold(JSON.stringify(config.run).length <= 4 * input.length + 4096, "it does not grow");
    }
  },
};

function manifest(layers: number): ImageManifest {
  const descriptor = { mediaType: "", digest: DIGEST as `sha256:${string}`, size: 1 };
  return { config: descriptor, layers: Array.from({ length: layers }, () => descriptor) };
}

/** Ends what is open and leaves out what closes nothing, and commas that are too many or too few. */
function closeBrackets(input: Buffer): Buffer {
  const tokens = input.toString("latin1").match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g) ?? [];
  const open: string[] = [];
  let text = "";
  for (const token of tokens) {
    const isEnd = token === "}" || token === "]";
    if (isEnd && open.at(-1) !== token) continue;
    if (isEnd) text = text.replace(/[,:]$/, "");
    if (/[\w"}\]]$/.test(text) && !/^[}\],:]/.test(token)) text += ",";
    if (/[[{,:]$/.test(text) && /^[,:]/.test(token)) continue;
    text += token;
    if (isEnd) open.pop();
    else if (token === "{") open.push("}");
    else if (token === "[") open.push("]");
  }
  return Buffer.from(text.replace(/[,:]$/, "") + open.reverse().join(""), "latin1");
}
