import type { Target } from "../target.ts";
import { configTarget, manifestTarget } from "./documents.ts";
import { flattenTarget } from "./flatten.ts";
import { layerTarget } from "./layer.ts";
import { otlpTarget } from "./otlp.ts";
import { clientHelloTarget, replayTarget } from "./proxy.ts";
import { paxTarget, tarTarget } from "./tar.ts";
import { zstdTarget } from "./zstd.ts";

export const TARGETS: readonly Target[] = [
  ...[tarTarget, paxTarget, zstdTarget, layerTarget, flattenTarget],
  ...[manifestTarget, configTarget],
  ...[clientHelloTarget, replayTarget],
  otlpTarget,
];
