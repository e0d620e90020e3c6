import { describe, expect, it } from "vitest";
import { parseRoute, pathOf } from "../src/router";

describe("paths of the console", () => {
  it("name a page and are read back as it", () => {
    for (const route of [
      { page: "apps" } as const,
      { page: "app", id: "app_1" } as const,
      { page: "app", id: "app_1", deployment: "deployment_2" } as const,
    ])
      expect(parseRoute(pathOf(route))).toEqual(route);
  });
  it("fall back to the list", () => {
    expect(parseRoute("/elsewhere")).toEqual({ page: "apps" });
  });
});
