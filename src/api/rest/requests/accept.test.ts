import { expect, test } from "vitest";
import { acceptsSse } from "./accept.ts";

test.each([
  "text/event-stream",
  "Text/Event-Stream; q=0.9, */*",
  "text/html,text/event-stream",
  "text/event-stream, application/json",
])("%s asks for server-sent events", (header) => {
  expect(acceptsSse(header)).toBe(true);
});

test.each([
  undefined,
  "",
  "*/*",
  "application/json",
  "application/json, text/event-stream",
  "text/event-stream;q=0",
  "text/event-streams",
])("%s does not ask for server-sent events", (header) => {
  expect(acceptsSse(header)).toBe(false);
});
