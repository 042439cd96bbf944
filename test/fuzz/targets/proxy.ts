import { isDeepStrictEqual } from "node:util";
import { fromHeader, fromJson, type ReplayOrder } from "../../../src/proxy/http/replay/replay-order.ts";
import { readClientHello } from "../../../src/proxy/tls/client-hello.ts";
import { hold, type Target } from "../target.ts";

export const clientHelloTarget: Target = {
  name: "client-hello",
  words: [
    ...["app.example", "h2", "http/1.1", "\0"],
    ...[
      Buffer.from([22, 3, 1, 0, 1]),
      Buffer.from([1, 0, 0, 40, 3, 3]),
      Buffer.from([0, 0, 0, 16, 0, 14, 0, 0, 11]),
    ],
    ...[Buffer.from([0, 16, 0, 5, 0, 3, 2]), Buffer.from([0xff, 0xff]), Buffer.alloc(32)],
  ],
  run: (input) => {
    const whole = readClientHello(input);
    for (const part of [input.length >> 1, input.length - 1, 5, 9]) {
      const found = readClientHello(input.subarray(0, Math.max(0, part)));
      hold(found === undefined || isDeepStrictEqual(found, whole), "more bytes do not change what was read");
    }
    if (whole === undefined || whole === "invalid") return;
    hold(/^[a-z0-9_.-]{0,255}$/.test(whole.serverName), "a name has the letters of host names");
    const protocols = whole.alpn.reduce((sum, each) => sum + each.length, 0);
    hold(protocols + whole.serverName.length <= input.length, "no more is read than was sent");
  },
};

export const replayTarget: Target = {
  name: "replay",
  words: [
    ...[
      "region=",
      "instance=",
      "prefer_instance=",
      "app=",
      "state=",
      "elsewhere=true",
      "timeout=5s",
      ";",
      ",",
    ],
    ...[
      "fallback=force_self",
      "any",
      "{",
      "}",
      '"region":',
      '"transform":{"path":"/"',
      '"set_headers":[{"name":',
    ],
    ...['"value":', '"cache":{"prefix":"/a*","ttl":10', '"invalidate":true', "null", "[", "]", "\r\n", "\0"],
  ],
  run: (input) => {
    const text = input.toString("latin1");
    check(() => fromHeader(text));
    check(() => fromJson(JSON.parse(text)));
  },
};

/** What is read goes into headers of requests. */
function check(read: () => ReplayOrder): void {
  let order: ReplayOrder;
  try {
    order = read();
  } catch (err) {
    hold(
      err instanceof Error && !(err instanceof TypeError || err instanceof RangeError),
      `blamed: ${String(err)}`,
    );
    return;
  }
  const path = order.transform?.path ?? "/";
  const texts = [
    order.state ?? "",
    order.instance ?? "",
    order.preferInstance ?? "",
    path,
    ...(order.transform?.setHeaders.flat() ?? []),
  ];
  hold(
    texts.every((each) => !/[\r\n\0]/.test(each)),
    "nothing ends a header",
  );
  hold(order.regions.length <= 64, "regions are bounded");
  hold((order.cache?.ttlMs ?? 0) <= 24 * 3_600_000, "what is remembered is forgotten within a day");
}
