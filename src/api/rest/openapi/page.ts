import { createHash } from "node:crypto";

/** The part of an OpenAPI document that the page shows. */
interface Document {
  readonly info: { readonly title: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Schemas };
}

/** Schemas by the names by which others refer to them. */
type Schemas = Readonly<Record<string, Schema>>;

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> };
  readonly responses?: Readonly<Record<string, Response>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description?: string;
  readonly schema?: Schema;
}

interface Response {
  readonly description?: string;
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1d2733; background: #fff; }
h2 { border-bottom: 1px solid #ccd4dd; margin-top: 3rem; } details { margin: .5rem 0; } summary { cursor: pointer; }
code { font-family: ui-monospace, monospace; font-size: .9em; } table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
td { border-top: 1px solid #e4e9ee; padding: .2rem .8rem .2rem 0; vertical-align: top; } .method { display: inline-block; font-weight: 600; min-width: 4.5rem; }
nav a { margin-right: 1rem; } @media (prefers-color-scheme: dark) { body { background: #14191f; color: #dde5ee; } a { color: #8ab4ff; } }
`;

/** Content-Security-Policy of the page: allows its own style, and nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const MAX_DEPTH = 4;

/** Writes an OpenAPI document as a page to read. */
export function openApiPage(document: Document): string {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags?.[0] ?? "Others");
  const tags = [...byTag.keys()];
  const sections = tags.map((tag) => {
    const items = (byTag.get(tag) ?? []).map(({ path, method, operation }) =>
      operationHtml(path, method, operation, document.components?.schemas ?? {}),
    );
    return `<h2 id="${html(tag)}">${html(tag)}</h2>${items.join("")}`;
  });
  const title = html(document.info.title);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head><body><h1>${title}</h1><p>${prose(document.info.description)}</p><p><a href="/v1/openapi.json">OpenAPI 3.1 document</a></p><nav>${tags.map((tag) => `<a href="#${html(tag)}">${html(tag)}</a>`).join("")}</nav>${sections.join("")}</body></html>`;
}

function operationHtml(path: string, method: string, operation: Operation, schemas: Schemas): string {
  const { summary, description, parameters = [], requestBody, responses = {} } = operation;
  const head = `<span class="method">${html(method.toUpperCase())}</span> <code>${html(path)}</code> ${prose(summary)}`;
  const body = Object.values(requestBody?.content ?? {})[0]?.schema;
  const rows = parameters.map((each) =>
    row(each.name, `${each.in}, ${typeOf(each.schema)}`, each.description ?? each.schema?.description),
  );
  const answers = Object.entries(responses).map(([status, response]) => {
    const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
    return (
      row(status, type ?? "no body", response.description) +
      (content?.schema && status.startsWith("2") ? schemaRows(content.schema, schemas) : "")
    );
  });
  return `<details><summary>${head}</summary>${description ? `<p>${prose(description)}</p>` : ""}${table("Parameters", rows.join(""))}${table("Body", body ? schemaRows(body, schemas) : "")}${table("Answers", answers.join(""))}</details>`;
}

function schemaRows(schema: Schema, schemas: Schemas, at = "", depth = 0): string {
  if (depth > MAX_DEPTH) return "";
  const { items, properties = {} } = resolve(schema, schemas);
  const list = items ? schemaRows(items, schemas, `${at}[]`, depth + 1) : "";
  const members = Object.entries(properties).map(([name, each]) => {
    const path = at === "" ? name : `${at}.${name}`;
    const found = resolve(each, schemas);
    return row(path, typeOf(found), found.description) + schemaRows(found, schemas, path, depth + 1);
  });
  return list + members.join("");
}

/** Returns the schema that another refers to. */
function resolve(schema: Schema, schemas: Schemas): Schema {
  return (schema.$ref && schemas[schema.$ref.split("/").at(-1) ?? ""]) || schema;
}

function typeOf(schema: Schema | undefined): string {
  if (schema?.enum) return schema.enum.map(String).join(" | ");
  return [schema?.type ?? "any"].flat().join(" | ");
}

function row(name: string, type: string, text: string | undefined): string {
  return `<tr><td><code>${html(name)}</code></td><td>${html(type)}</td><td>${prose(text)}</td></tr>`;
}

function table(title: string, rows: string): string {
  return rows === "" ? "" : `<strong>${title}</strong><table>${rows}</table>`;
}

/** Writes text as HTML; parts between backticks are code. */
function prose(text: string | undefined): string {
  return html(text ?? "").replace(/`([^`]*)`/g, "<code>$1</code>");
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
