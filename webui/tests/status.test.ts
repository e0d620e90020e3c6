import { describe, expect, it } from "vitest";
import type { App, Deployment, Instance } from "../src/api/types";
import { addressesOf, ago, statusOf } from "../src/status";

const app = (over: Partial<App> = {}): App => ({
  id: "app_1", name: "hello", description: "", ownerId: "orga_1", zone: "par", creationDate: 0,
  state: "SHOULD_BE_UP", commitId: "0123456789abcdef",
  instance: {
    variant: { slug: "node", name: "Node" }, minInstances: 2, maxInstances: 2,
    minFlavor: { name: "XS" }, maxFlavor: { name: "XS" },
  },
  deployment: { httpUrl: "" }, vhosts: [{ fqdn: "hello.localhost/" }, { fqdn: "example.com/api" }],
  sleepAfter: 0, sleep: "awake", ...over,
});
const deployment = (state: Deployment["state"]): Deployment => ({
  id: 1, uuid: "deployment_1", date: 0, state, action: "DEPLOY", commit: null, cause: "",
});
const up: Instance = { id: "i", state: "UP", flavor: { name: "XS" }, instanceNumber: 0 };

describe("the state of an app at a glance", () => {
  it("is running when all wanted instances are up, even after a failed deployment", () => {
    expect(statusOf(app(), [deployment("OK")], [up, up])).toEqual({ label: "running", text: "2 × XS" });
    expect(statusOf(app(), [deployment("FAIL")], [up, up]).text).toContain("changed nothing");
  });
  it("is degraded when some are missing and failed when all are", () => {
    expect(statusOf(app(), [deployment("OK")], [up]).label).toBe("degraded");
    expect(statusOf(app(), [deployment("OK")], [{ ...up, state: "DEPLOYING" }]).label).toBe("failed");
  });
  it("is asleep or waking, not failed, when nobody has asked for it", () => {
    expect(statusOf(app({ sleep: "asleep" }), [deployment("OK")], []).label).toBe("asleep");
    expect(statusOf(app({ sleep: "waking" }), [deployment("OK")], []).label).toBe("waking");
    expect(statusOf(app({ sleep: "waking" }), [deployment("OK")], [up, up]).label).toBe("running");
    expect(statusOf(app({ sleep: "asleep" }), [deployment("WIP")], []).label).toBe("starting");
  });
  it("tells a first start from a new version", () => {
    expect(statusOf(app(), [deployment("WIP")], []).label).toBe("starting");
    expect(statusOf(app(), [deployment("WIP")], [up]).label).toBe("deploying");
  });
  it("tells new, stopped and failed from one another when nothing should run", () => {
    const down = app({ state: "SHOULD_BE_DOWN" });
    expect(statusOf(down, [], []).label).toBe("new");
    expect(statusOf(down, [deployment("OK")], []).label).toBe("stopped");
    expect(statusOf(down, [deployment("FAIL")], []).label).toBe("failed");
  });
});

describe("addresses", () => {
  it("carry the port only when it is not the scheme's own, and keep the path", () => {
    const settings = { appsScheme: "http", appsPort: 8081, version: "" };
    expect(addressesOf(app(), settings)).toEqual(["http://hello.localhost:8081/", "http://example.com:8081/api"]);
    expect(addressesOf(app(), { ...settings, appsPort: 80 })[0]).toBe("http://hello.localhost/");
  });
});

describe("lengths of time", () => {
  it("are in the unit a person would choose", () => {
    expect([ago(-5), ago(89_000), ago(90_000), ago(5_400_000), ago(200_000_000)]).toEqual([
      "0 s", "89 s", "2 min", "2 h", "2 d",
    ]);
  });
});
