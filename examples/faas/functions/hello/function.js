import { hostname } from "node:os";

export default async ({ name = "world" }) => {
  console.log(`greeting ${name}`);
  return { hello: name, from: hostname() };
};
