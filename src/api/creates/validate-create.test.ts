import { describe, expect, it } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { validateCreate } from "./validate-create.ts";

describe("a create", () => {
  const anyImage = () => undefined;
  const WORLD = { own: "ord", known: ["gru", "ord"] };
  const input = {
    org: "o",
    app: "web",
    name: "",
    region: "",
    config: { image: "nginx", env: {}, services: [], metadata: {} },
    configBytes: 10,
    skipLaunch: false,
    requestId: "",
    placement: undefined,
    subject: "ci",
    leaseTtlMs: undefined,
  };

  it("gives its caller a lease of 1 s to 1 h, when that is asked for", () => {
    const leased = (leaseTtlMs: number) => validateCreate({ ...input, leaseTtlMs }, WORLD, anyImage);

    expect(validateCreate(input, WORLD, anyImage)).not.toHaveProperty("lease");
    expect(leased(3_600_000).lease).toEqual({ ttlMs: 3_600_000, owner: "ci" });
    expect(() => leased(999)).toThrow("lease_ttl");
    expect(() => leased(3_600_001)).toThrow("lease_ttl");
  });

  it("keeps what its region stands for, and what was written", () => {
    expect(validateCreate({ ...input, region: "any" }, WORLD, anyImage)).toMatchObject({
      regions: ["ord", "gru"],
      regionAsked: "any",
    });
  });

  it("is for the region that is asked when it names none", () => {
    expect(validateCreate(input, WORLD, anyImage).regions).toEqual(["ord"]);
    expect(validateCreate({ ...input, region: "ord" }, WORLD, anyImage).regions).toEqual(["ord"]);
  });

  it("names all that is wrong, its region too", () => {
    const wrong = { ...input, app: "", name: "A", requestId: "x y", config: undefined, region: "fra" };

    expect(fault(() => validateCreate(wrong, WORLD, anyImage)).facts["fields"]).toBe(
      "app,config,name,request_id,region",
    );
    expect(fault(() => validateCreate({ ...input, region: "fra" }, WORLD, anyImage)).reason).toBe(
      "REGION_UNKNOWN",
    );
  });

  it("has a configuration of at most 64 KiB", () => {
    const of = (configBytes: number) => () => validateCreate({ ...input, configBytes }, WORLD, anyImage);

    expect(of(65_536)).not.toThrow();
    expect(fault(of(65_537)).violations).toEqual([
      {
        field: "config",
        description:
          "must have at most 65536 bytes in all, not 65537: shorten env, init, files, metadata or extra",
      },
    ]);
  });

  it("says what is wrong with its image", () => {
    const { violations } = fault(() => validateCreate(input, WORLD, () => "is no reference"));

    expect(violations).toEqual([{ field: "config.image", description: "is no reference" }]);
  });
});

function fault(work: () => unknown): Fault {
  try {
    work();
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
  throw new Error("nothing was thrown");
}
