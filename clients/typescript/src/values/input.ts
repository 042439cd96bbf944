type Builtin = bigint | boolean | Date | number | string | Uint8Array | undefined;

/** A message of the contract as a caller writes it: every field may be left out. */
export type Input<T> = T extends Builtin
  ? T
  : T extends readonly (infer U)[]
    ? readonly Input<U>[]
    : string extends keyof T
      ? Readonly<T>
      : { readonly [K in keyof T]?: Input<T[K]> | undefined };

/** Fills in the fields that are left out. */
export function complete<T>(codec: { fromPartial(input: never): T }, input: Input<NoInfer<T>>): T {
  // The generated type differs from `Input` in `readonly` alone.
  return codec.fromPartial(input as never);
}
