import type { ChannelOptions } from "@grpc/grpc-js";

/** grpc-js accepts any key silently; with its index signature removed, a typo fails to compile. */
export type TypedOptions = {
  [K in keyof ChannelOptions as string extends K ? never : K]: ChannelOptions[K];
};

/** The largest message either side sends or takes, in bytes. Logs and images travel in chunks far below it. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

/** By default the receiver stops at 4 MiB and the sender has no limit, so errors would show up at the wrong end. */
export const messageLimits: TypedOptions = {
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
};

/** Finds a peer that has vanished without closing: within 40 s, idle or not. Both ends are ours, so pings are welcome. */
export const keepAlive: TypedOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
};

/**
 * grpc-js counts every call and message for its own debugging service, which nothing of ours serves. For clients only: a server finds the
 * connections that it has to cut when its grace is over in those very books (1.14.7).
 */
const noChannelz: TypedOptions = { "grpc.enable_channelz": 0 };

/** Channel options of every client. */
export const clientOptions: TypedOptions = {
  ...messageLimits,
  ...keepAlive,
  ...noChannelz,
  "grpc.initial_reconnect_backoff_ms": 100,
  // A host that comes back is to be noticed soon; there are few clients per server.
  "grpc.max_reconnect_backoff_ms": 2_000,
  // The fleet's own traffic must not go through a proxy that the environment happens to name.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};
