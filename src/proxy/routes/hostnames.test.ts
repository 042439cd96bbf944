import { expect, test } from "vitest";
import { Hostnames } from "./hostnames.ts";

const app = (name: string, ...hostnames: string[]) => ({ name, org: "acme", hostnames });

test("the label before a domain of the fleet is the app, whatever is before it", () => {
  const names = new Hostnames(["localhost", "apps.example.com"]);

  expect(names.find("web.localhost")).toBe("web");
  expect(names.find("x.y.web.localhost")).toBe("web");
  expect(names.find("web.apps.example.com")).toBe("web");
  expect(
    ["localhost", ".localhost", "web.example.com", "weblocalhost", ""].map((each) => names.find(each)),
  ).toEqual(Array.from({ length: 5 }));
});

test("a wildcard stands for any one label, and an exact name beats it", () => {
  const names = new Hostnames(["localhost"]);
  names.add(app("any", "*.example.com"));
  names.add(app("www", "www.example.com"));

  expect(names.find("a.example.com")).toBe("any");
  expect(names.find("www.example.com")).toBe("www");
  expect(names.find("a.b.example.com")).toBeUndefined();
  expect(names.find("example.com")).toBeUndefined();
});

test("a name that has gone to another app stays there when the first one lets go of it", () => {
  const names = new Hostnames([]);
  const before = app("a", "shop.example.com");
  names.add(before);
  names.add(app("b", "shop.example.com"));

  names.remove(before);

  expect(names.find("shop.example.com")).toBe("b");
});
