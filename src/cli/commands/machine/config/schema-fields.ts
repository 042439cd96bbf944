import * as z from "zod";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { duration } from "../../values.ts";

/** Makes the schema of an object that has no other keys. */
export function object<S extends z.ZodRawShape>(shape: S) {
  const unknown = `is not known here; known are ${Object.keys(shape).join(", ")}`;
  return z.strictObject(shape, {
    error: ({ code }) => (code === "unrecognized_keys" ? unknown : "must be an object"),
  });
}

/** Makes the schema of a list, which may be absent. */
export function list<T extends z.ZodType>(entry: T) {
  return z.array(entry, "must be a list").prefault([]);
}

export const text = z.string("must be a text").default("");
export const flag = z.boolean("must be true or false").default(false);
export const whole = z.int("must be a whole number").default(0);
export const textList = z.array(z.string("must be a text"), "must be a list of texts").default([]);
/** Not `z.record`, which drops a key `__proto__`. */
export const texts = z
  .custom<object>((value) => isObject(value), "must be an object of texts")
  .default({})
  .transform((value, context) => {
    const entries = Object.entries(value).filter(([name, each]) => {
      if (typeof each !== "string")
        context.addIssue({ code: "custom", message: "must be a text", path: [name] });
      return typeof each === "string";
    });
    return new Map<string, string>(entries);
  });
export const time = z.coerce
  .string()
  .transform((raw, context) => {
    try {
      return durationToProto(duration(raw));
    } catch {
      context.addIssue('must be a length of time such as "5s"');
      return z.NEVER;
    }
  })
  .optional();

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
