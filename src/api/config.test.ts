import { describe, expect, test } from "vitest";
import { ConfigError } from "../lib/config/config.ts";
import { readConfig } from "./config.ts";

const NEEDED = {
  API_STATE_DIR: "/state",
  DATABASE_URL: "postgres:///windhover",
  TOKEN_KEYS_DIR: "/keys",
};
const schedulers = (env: Readonly<Record<string, string>>) => readConfig({ ...NEEDED, ...env }).schedulers;

describe("API_SCHEDULERS", () => {
  test("names regions and their replicas", () => {
    expect(schedulers({ API_SCHEDULERS: "ord=a:1, gru=b:1,gru=[::1]:2,ams=unix:/run/s=1" })).toEqual([
      { region: "ord", address: "a:1" },
      { region: "gru", address: "b:1" },
      { region: "gru", address: "[::1]:2" },
      { region: "ams", address: "unix:/run/s=1" },
    ]);
  });

  test("means the api's own region where it names none, and its usual scheduler when it is not set", () => {
    expect(schedulers({ API_REGION: "gru", API_SCHEDULERS: "a:1" })).toEqual([
      { region: "gru", address: "a:1" },
    ]);
    expect(schedulers({})).toEqual([{ region: "ord", address: "127.0.0.1:7071" }]);
  });

  test.each([
    ["ord=", /API_SCHEDULERS must be host:port/],
    ["ord=a", /API_SCHEDULERS must be host:port/],
    ["=a:1", /API_SCHEDULERS must name regions like ord=host:port, not "=a:1"/],
    ["Chicago!=a:1", /must name regions like ord=host:port/],
    [",", /API_SCHEDULERS must name at least one scheduler/],
  ])("%j is refused with a sentence", (value, message) => {
    expect(() => schedulers({ API_SCHEDULERS: value })).toThrow(ConfigError);
    expect(() => schedulers({ API_SCHEDULERS: value })).toThrow(message);
  });
});

describe("AUDIT_OTLP", () => {
  const otlp = (url: string | undefined) =>
    readConfig({ ...NEEDED, ...(url === undefined ? {} : { AUDIT_OTLP: url }) }).audit.otlp;

  test("is the URL of a collector, or nothing", () => {
    expect(otlp("http://collector:4318")).toBe("http://collector:4318/");
    expect(otlp("https://[::1]/tenant/v1/logs")).toBe("https://[::1]/tenant/v1/logs");
    expect(otlp(undefined)).toBeUndefined();
  });

  test.each([
    "collector:4318",
    "unix:/run/otlp",
    "http://user:canary@collector:4318",
    "http://c/?token=canary",
  ])("%j is refused with what to write, without a password that is in it", (url) => {
    const refused = () => otlp(url);
    expect(refused).toThrow(/AUDIT_OTLP must be the URL of a collector, such as http:/);
    expect(refused).not.toThrow(/canary/);
  });
});
