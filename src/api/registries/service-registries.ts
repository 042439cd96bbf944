import type { RegistriesServiceServer } from "../../gen/windhover/machines/v1/registries.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "../requests/page-token.ts";
import { loginFromProto, loginToProto, registryFromProto } from "./convert-registries.ts";
import type { Logins, NewLogin } from "./logins.ts";

/** Asks a registry whether it takes credentials; false when it cannot be asked. @throws Fault `REGISTRY_UNAUTHORIZED` */
export type LoginCheck = (login: NewLogin, signal: AbortSignal) => Promise<boolean>;

export function registriesService(logins: Logins, check: LoginCheck): RegistriesServiceServer {
  return {
    setRegistryCredentials: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:write");
      const login = loginFromProto(req);
      const isChecked = !req.skipCheck && (await check(login, ctx.signal));
      const stored = await logins.put(org, login);
      return { login: loginToProto(stored), isChecked };
    }),
    deleteRegistryCredentials: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:write");
      await logins.delete(org, registryFromProto(req.registry));
      return {};
    }),
    listRegistryCredentials: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:read");
      const list = `registries/${org}`;
      const limit = pageSize(req.pageSize);
      const [after = ""] = decodePageToken(list, ["name"], req.pageToken) ?? [];
      const { items, last } = firstPage(await logins.list(org, after, limit + 1), limit);
      const nextPageToken = last ? encodePageToken(list, [last.registry]) : "";
      return { logins: items.map(loginToProto), nextPageToken };
    }),
  };
}
