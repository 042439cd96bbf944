import * as grpc from "@grpc/grpc-js";

const WAIT_MS = 5;

/**
 * Tells the end of a stream of requests from a caller that breaks it off. A Node client that cancels sends END_STREAM just
 * before RST_STREAM (`closeStream` in Node's http2, seen on 24.21 with grpc-js 1.14.7), so a handler would take half an
 * upload for a whole one. Both arrive together; the end is passed on once no cancellation has followed it.
 *
 * What must not be cut short unnoticed should all the same say in a message that it is complete.
 */
export const confirmEnd: grpc.ServerInterceptor = (method, call) => {
  if (!method.requestStream) return new grpc.ServerInterceptingCall(call);
  let timer: NodeJS.Timeout | undefined;
  return new grpc.ServerInterceptingCall(call, {
    start(next) {
      next({
        onReceiveHalfClose(proceed) {
          timer = setTimeout(proceed, WAIT_MS);
        },
        onCancel() {
          clearTimeout(timer);
        },
      });
    },
  });
};
