import type {
  CheckConfig,
  ConcurrencyConfig,
  PortConfig,
  ServiceConfig,
} from "../../../gen/windhover/machines/v1/machine.ts";
import { table } from "../../render/table.ts";

/** A table of services, and what proxies do with each. */
export function serviceTable(
  services: readonly ServiceConfig[],
  width: number | undefined,
): readonly string[] {
  const columns = [
    { title: "SERVICE" },
    { title: "PORTS", min: 12 },
    { title: "AUTOSTART" },
    { title: "AUTOSTOP" },
    { title: "LIMITS", min: 12, dropRank: 1 },
    { title: "CHECKS", min: 12, dropRank: 2 },
  ];
  return table(columns, services.map(serviceRow), width);
}

function serviceRow(service: ServiceConfig): readonly string[] {
  const { protocol, internalPort, ports, autostart, autostop, minMachinesRunning, checks } = service;
  const least = minMachinesRunning > 0 ? `, keeps ${minMachinesRunning}` : "";
  return [
    `${internalPort}/${protocol || "tcp"}`,
    ports.map(portText).join(", ") || "-",
    autostart ? "yes" : "no",
    `${autostop || "off"}${least}`,
    limitText(service.concurrency),
    checks.map(checkText).join(", ") || "-",
  ];
}

/** `443 tls+http`, `8000-8010`. */
function portText({ port, startPort, endPort, handlers }: PortConfig): string {
  const number = port === 0 ? `${startPort}-${endPort}` : `${port}`;
  return handlers.length === 0 ? number : `${number} ${handlers.join("+")}`;
}

/** `20 to 25 requests`, `20 connections`: from where others are preferred, to where none are taken. */
function limitText(concurrency: ConcurrencyConfig | undefined): string {
  if (!concurrency) return "-";
  const { type, softLimit, hardLimit } = concurrency;
  const limits = [softLimit > 0 ? `${softLimit}` : "", hardLimit > 0 ? `to ${hardLimit}` : ""];
  const text = limits.filter((limit) => limit !== "").join(" ");
  return text === "" ? type || "-" : `${text} ${type || "connections"}`;
}

/** `http GET /up`, `tcp 9090`. */
function checkText({ type, port, method, path }: CheckConfig): string {
  const where = port === 0 ? "" : ` ${port}`;
  return type === "http" ? `http${where} ${method || "GET"} ${path || "/"}` : `tcp${where}`;
}
