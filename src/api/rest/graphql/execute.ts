import {
  type DefinitionNode,
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  parse,
  type SelectionSetNode,
  specifiedRules,
  validate,
} from "graphql";
import type { Fault } from "../../../lib/faults/fault.ts";
import { asFault } from "../../../lib/grpc/status.ts";
import { logger } from "../../../lib/runtime/log.ts";
import type { JsonObject } from "../convert/json.ts";
import { errorAnswer } from "../errors/answer.ts";
import { schema } from "./schema.ts";

/** Tokens of a query: ten times those of the operations that clients send. */
const MAX_TOKENS = 1_000;
/** Fields at the top, each of which makes calls. */
const MAX_FIELDS = 10;
const MAX_ERRORS = 10;
/** The types whose fields are at the top. */
const TOP: ReadonlySet<string> = new Set(["Query", "Mutation"]);

/** Fly's names of errors, where they are not the names of gRPC codes. */
const CODES: Readonly<Partial<Record<Fault["code"], string>>> = {
  UNAUTHENTICATED: "UNAUTHORIZED",
  PERMISSION_DENIED: "FORBIDDEN",
  UNIMPLEMENTED: "NOT_IMPLEMENTED",
  INTERNAL: "SERVER_ERROR",
};

/** Runs a query. Every error is in the result. @param root answers the fields at the top */
export async function runQuery(body: JsonObject, root: object): Promise<JsonObject> {
  const { query, operationName, variables } = body;
  const document = typeof query === "string" ? readQuery(query) : [new GraphQLError("`query` is required")];
  if (Array.isArray(document)) return { errors: document.slice(0, MAX_ERRORS).map(wrongQuery) };
  const result = (await execute({
    ...{ schema, document, rootValue: root },
    operationName: typeof operationName === "string" && operationName !== "" ? operationName : null,
    // Checked against the schema by `execute`.
    variableValues: typeof variables === "object" ? (variables as Record<string, unknown>) : null,
  })) as ExecutionResult;
  return toJson(result);
}

/** Converts a fault to the answer of a query that was not run. */
export function failedQuery(fault: Fault): JsonObject {
  return { errors: [faultToJson(fault)] };
}

/** Parses a query, and checks it by the schema and the bounds. Returns its errors when it is wrong. */
function readQuery(text: string): DocumentNode | GraphQLError[] {
  let document: DocumentNode;
  try {
    document = parse(text, { maxTokens: MAX_TOKENS });
  } catch (err) {
    return [err instanceof GraphQLError ? err : new GraphQLError("the query cannot be parsed")];
  }
  const errors = validate(schema, document, specifiedRules, { maxErrors: MAX_ERRORS });
  if (errors.length > 0) return [...errors];
  const fields = document.definitions.reduce((sum, each) => sum + fieldsAtTop(each), 0);
  const isLarge = fields > MAX_FIELDS;
  return isLarge ? [new GraphQLError(`a query may have at most ${MAX_FIELDS} fields at the top`)] : document;
}

/** Counts the fields at the top that an operation, or a fragment of one, has. */
function fieldsAtTop(definition: DefinitionNode): number {
  if (definition.kind === "OperationDefinition") return countFields(definition.selectionSet);
  const isOfTop = definition.kind === "FragmentDefinition" && TOP.has(definition.typeCondition.name.value);
  return isOfTop ? countFields(definition.selectionSet) : 0;
}

function countFields({ selections }: SelectionSetNode): number {
  return selections.reduce((sum, each) => {
    if (each.kind === "InlineFragment") return sum + countFields(each.selectionSet);
    return each.kind === "Field" ? sum + 1 : sum;
  }, 0);
}

function toJson({ data, errors }: ExecutionResult): JsonObject {
  return {
    // GraphQL makes objects of JSON.
    ...(data === undefined ? {} : { data: data as JsonObject | null }),
    ...(errors === undefined ? {} : { errors: errors.slice(0, MAX_ERRORS).map(errorToJson) }),
  };
}

function errorToJson(err: GraphQLError): JsonObject {
  const { originalError, path } = err;
  // What is wrong with a query and its variables has no place in its result.
  const isTheirs = originalError === undefined || originalError instanceof GraphQLError || path === undefined;
  const shown = isTheirs ? wrongQuery(err) : faultToJson(faultOf(originalError));
  return { ...shown, ...(path === undefined ? {} : { path: [...path].map((each) => String(each)) }) };
}

function faultOf(err: Error): Fault {
  const fault = asFault(err);
  if (fault.code === "INTERNAL")
    logger.error("a GraphQL query failed", { reason: fault.reason, error: fault });
  return fault;
}

function faultToJson(fault: Fault): JsonObject {
  const message = errorAnswer(fault).body.error;
  return { message, extensions: { code: CODES[fault.code] ?? fault.code, reason: fault.reason } };
}

function wrongQuery({ message, locations }: GraphQLError): JsonObject {
  return {
    message,
    ...(locations === undefined
      ? {}
      : { locations: locations.map(({ line, column }) => ({ line, column })) }),
    extensions: { code: "BAD_REQUEST" },
  };
}
