import { z } from "zod";
import { configSchema } from "../convert/config/config-schema.ts";
import { neededNames } from "../convert/fields.ts";
import { answerNames } from "../requests/answers.ts";

/** Member that replaces a component in a schema until {@link Components.finish}. */
const COMPONENT = "x-component";

const MAX_INT32 = 2 ** 31 - 1;

/** A schema of JSON. */
type Schema = Readonly<Record<string, unknown>>;

/** The schemas that an OpenAPI document names. Clients that are generated have a type for each. */
export class Components {
  readonly #registry = z.registry<{ readonly id: string }>();

  constructor() {
    this.#registry.add(configSchema, { id: "MachineConfig" });
    for (const [schema, id] of answerNames) this.#registry.add(schema, { id });
  }

  /**
   * Returns a schema that stands for a component.
   *
   * @param name of one that is not a component yet; absent: it stays where it is
   */
  use(schema: z.ZodType, name?: string): Schema {
    const known = this.#registry.get(schema);
    if (known) return { [COMPONENT]: known.id };
    if (schema instanceof z.ZodArray) return { type: "array", items: this.use(schema.element as z.ZodType) };
    if (name === undefined) return toJsonSchema(schema);
    this.#registry.add(schema, { id: name });
    return { [COMPONENT]: name };
  }

  /** Returns a document with its components, and references to them in their places. */
  finish(document: object): object {
    const { schemas } = z.toJSONSchema(this.#registry, {
      ...OPTIONS,
      uri: (id) => `#/components/schemas/${id}`,
    });
    const named = Object.fromEntries(
      Object.entries(schemas).map(([id, { $schema: _, $id: _id, ...schema }]) => [id, schema]),
    );
    const others: unknown = Reflect.get(document, "components");
    const whole = { ...document, components: { ...Object(others), schemas: named } };
    const text = JSON.stringify(whole, (_name, value: unknown) => {
      if (typeof value !== "object" || value === null) return value;
      const id: unknown = Reflect.get(value, COMPONENT);
      if (typeof id === "string") return { $ref: `#/components/schemas/${id}` };
      if ("requestBody" in value) return { ...value, requestBody: bodyOf(value.requestBody, named) };
      return "in" in value && "schema" in value ? parameterOf(value) : value;
    });
    return JSON.parse(text);
  }
}

/** Moves members that are of the parameter out of its schema, where @fastify/swagger leaves them. */
function parameterOf({ schema, ...parameter }: { readonly schema: unknown }): object {
  const { style, explode, ...rest } = Object(schema) as Schema;
  return style === undefined ? { ...parameter, schema } : { ...parameter, style, explode, schema: rest };
}

/** Marks a body as needed when one of its members is: @fastify/swagger marks all. */
function bodyOf(body: unknown, schemas: Readonly<Record<string, Schema>>): object {
  const name = JSON.stringify(body).match(/"x-component":"(\w+)"/)?.[1] ?? "";
  return { ...Object(body), required: schemas[name]?.["required"] !== undefined };
}

const OPTIONS: z.core.ToJSONSchemaParams = {
  // Without the variants of encoders, which are taken too.
  io: "output",
  unrepresentable: "any",
  override({ zodSchema, jsonSchema }) {
    const { def } = zodSchema._zod;
    if (jsonSchema.type === "integer") sizeInteger(jsonSchema);
    if (def.type !== "object") return;
    const required = neededNames((def as z.core.$ZodObjectDef).shape);
    if (required.length > 0)
      jsonSchema.required = [...new Set([...(jsonSchema.required ?? []), ...required])];
    // Members may be added.
    if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  },
};

/** Says how wide a number is: generators take 32 bits for one without a format. */
function sizeInteger(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  schema.format = schema.maximum !== undefined && schema.maximum <= MAX_INT32 ? "int32" : "int64";
}

function toJsonSchema(schema: z.ZodType): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, OPTIONS);
  return rest;
}
