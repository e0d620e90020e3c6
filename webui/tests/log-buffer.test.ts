import { describe, expect, it } from "vitest";
import { LogBuffer } from "../src/log-buffer";

const line = (id: string) => ({ id, date: "", message: id, service: "app" });

describe("the log on a page", () => {
  it("keeps the newest lines and counts those that fell out", () => {
    const buffer = new LogBuffer(2);
    for (const id of ["a", "b", "c"]) buffer.add(line(id));
    expect(buffer.lines.map((l) => l.id)).toEqual(["b", "c"]);
    expect(buffer.dropped).toBe(1);
  });
  it("shows a line once although a reconnection sends it again", () => {
    const buffer = new LogBuffer(10);
    for (const id of ["a", "b", "a", "b", "c"]) buffer.add(line(id));
    expect(buffer.lines.map((l) => l.id)).toEqual(["a", "b", "c"]);
    expect(buffer.dropped).toBe(0);
  });
  it("refuses to hold nothing", () => {
    expect(() => new LogBuffer(0)).toThrow("at least one line");
  });
});
