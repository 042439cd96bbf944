import type { HoverCommand } from "../command.ts";
import { duration } from "../values.ts";
import type { ApiFlags } from "./api-run.ts";

export function defineApi(api: HoverCommand): void {
  api
    .option("-d, --data <body>", "JSON of the body; @file reads a file, - standard input")
    .option("-H, --header <name: value>", "header; may be repeated", collect)
    .option("-i, --include", "print status and headers too")
    .option("--timeout <time>", "how long to wait, or until a stream begins (default: 15m)", duration)
    .examples(
      "hover api GET /v1/apps/web/machines",
      'hover api POST /v1/apps/web/machines/ID/stop -d \'{"signal":"SIGTERM"}\'',
      "hover api POST /v1/apps/web/machines -d @machine.json",
      "hover api '/v1/apps/web/machines/ID/logs?follow'",
    )
    .runs<[string, string | undefined], ApiFlags>(async (...given) =>
      (await import("./api-run.ts")).callApi(...given),
    );
}

function collect(raw: string, before: readonly string[] = []): readonly string[] {
  return [...before, raw];
}
