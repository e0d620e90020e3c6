import { describe, expect, it } from "vitest";
import { parseRoute, pathOf } from "../src/router";

describe("paths of the console", () => {
  it("name a page and are read back as it", () => {
    for (const route of [
      { page: "apps" } as const,
      { page: "hosts" } as const,
      { page: "app", id: "app_1" } as const,
      { page: "app", id: "app_1", deployment: "deployment_2" } as const,
    ])
      expect(parseRoute(pathOf(route))).toEqual(route);
  });
  it("read the request of a command line", () => {
    const route = { page: "cli-login", token: "a-b_c", version: "1.0 & more" } as const;
    const url = new URL(pathOf(route), "http://console");
    expect(url.pathname).toBe("/cli-oauth");
    expect(parseRoute(url.pathname, url.search)).toEqual(route);
    expect(parseRoute("/cli-oauth")).toEqual({ page: "cli-login", token: "", version: "" });
  });
  it("fall back to the list", () => {
    expect(parseRoute("/elsewhere")).toEqual({ page: "apps" });
  });
});
