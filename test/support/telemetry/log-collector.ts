import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A log record as OTLP/JSON has it, its attributes by name. */
export interface CollectedRecord {
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of the resource. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly timeUnixNano: string;
  readonly severityText: string;
  readonly traceId?: string;
  readonly body?: { readonly stringValue: string };
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** An OpenTelemetry collector that keeps log records in memory. */
export class LogCollector {
  readonly records: CollectedRecord[] = [];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** Answers requests with this; other than 200, their records are not kept. */
  status = 200;
  readonly #server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    this.requests.push({ path: req.url ?? "", headers: req.headers });
    if (this.status === 200) this.#keep(JSON.parse(Buffer.concat(chunks).toString()));
    res.writeHead(this.status, { "content-type": "application/json" }).end("{}");
  });

  /** @param port 0: any */
  static async start(port = 0): Promise<LogCollector> {
    const collector = new LogCollector();
    collector.#server.listen(port, "127.0.0.1");
    await once(collector.#server, "listening");
    return collector;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #keep({ resourceLogs }: { resourceLogs: ResourceLogs[] }): void {
    for (const { resource, scopeLogs } of resourceLogs) {
      for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
        const attributes = byName(record.attributes);
        this.records.push({ ...record, attributes, resource: byName(resource.attributes) });
      }
    }
  }
}

interface ResourceLogs {
  readonly resource: { readonly attributes: readonly Attribute[] };
  readonly scopeLogs: readonly {
    readonly logRecords: readonly (Omit<CollectedRecord, "attributes" | "resource"> & {
      readonly attributes: readonly Attribute[];
    })[];
  }[];
}

function byName(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
