import { type RegistriesServiceServer, RegistryLogin } from "../../gen/windhover/machines/v1/registries.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { readPage } from "../requests/pages.ts";
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
      const { items, nextPageToken } = await readPage(req, {
        name: `registries/${org}`,
        keyForms: ["name"],
        keysOf: ({ registry }) => [registry],
        read: ([after] = [""], limit) => logins.list(org, after ?? "", limit),
        toProto: loginToProto,
        bytesOf: (login) => RegistryLogin.encode(login).finish().length,
      });
      return { logins: items, nextPageToken };
    }),
  };
}
