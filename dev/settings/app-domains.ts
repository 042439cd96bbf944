import { UserError } from "../../tools/lib/errors.ts";

/**
 * Returns the domains below which apps have names: one value for apis and proxies.
 *
 * @throws UserError when their variables differ
 */
export function appDomains(env: NodeJS.ProcessEnv): string {
  const { PROXY_DOMAINS: ofProxies = "", API_PROXY_DOMAINS: ofApis = "" } = env;
  if (ofProxies !== "" && ofApis !== "" && ofProxies !== ofApis)
    throw new UserError(
      `PROXY_DOMAINS=${ofProxies} and API_PROXY_DOMAINS=${ofApis} differ: leave API_PROXY_DOMAINS out.`,
    );
  return ofProxies || ofApis;
}
