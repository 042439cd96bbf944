import { buildConsolePage } from "../../../tools/setup/console-page.ts";

/** Bundles the console's page once, before several files of tests open it. */
export default async function setup(): Promise<void> {
  await buildConsolePage();
}
