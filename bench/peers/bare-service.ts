import * as grpc from "@grpc/grpc-js";

/** As large as the messages of StartMachine. */
export const REQUEST = Buffer.alloc(64);
export const RESPONSE = Buffer.alloc(1_024);

const bytes = (message: Buffer) => message;

/** A service whose messages are bytes. */
export const definition = {
  call: {
    ...{ path: "/bench.Bare/Call", requestStream: false, responseStream: false },
    ...{ requestSerialize: bytes, requestDeserialize: bytes },
    ...{ responseSerialize: bytes, responseDeserialize: bytes },
  },
} satisfies grpc.ServiceDefinition;

export class BareClient extends grpc.Client {
  static connect(address: string): BareClient {
    return new BareClient(address, grpc.credentials.createInsecure());
  }

  call(request: Buffer, done: grpc.requestCallback<Buffer>): grpc.ClientUnaryCall {
    return this.makeUnaryRequest(definition.call.path, bytes, bytes, request, done);
  }
}
