import * as grpc from "@grpc/grpc-js";

/** What StartMachine takes and gives, in bytes. */
export const QUESTION = Buffer.alloc(64);
export const ANSWER = Buffer.alloc(1_024);

const bytes = (message: Buffer) => message;

/** A service whose messages are bytes. */
export const definition = {
  call: {
    path: "/bench.Bare/Call",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} satisfies grpc.ServiceDefinition;

/** Its client. */
export interface BareClient extends grpc.Client {
  call(request: Buffer, done: (err: grpc.ServiceError | null, answer?: Buffer) => void): grpc.ClientUnaryCall;
}

// The constructor that grpc-js generates has no type for the methods it adds.
export const BareClient = grpc.makeGenericClientConstructor(definition, "bench.Bare") as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
) => BareClient;
