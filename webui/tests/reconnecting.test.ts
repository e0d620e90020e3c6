import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reconnecting } from "../src/reconnecting";

/** An EventSource whose server is the test. */
class PlayedSource {
  readyState = 0;
  private readonly listeners = new Map<string, (() => void)[]>();
  addEventListener(type: string, listener: () => void) {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }
  close() {
    this.readyState = 2;
  }
  accepted() {
    this.readyState = 1;
    this.tell("open");
  }
  broken() {
    this.readyState = 0;
    this.tell("error");
  }
  refused() {
    this.readyState = 2;
    this.tell("error");
  }
  private tell(type: string) {
    for (const listener of this.listeners.get(type) ?? []) listener();
  }
}

describe("a stream that is kept open", () => {
  let sources: PlayedSource[];
  const open = () => {
    const source = new PlayedSource();
    sources.push(source);
    return source;
  };
  const newest = () => sources[sources.length - 1] as PlayedSource;
  beforeEach(() => {
    sources = [];
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is opened again after an answer that ends an EventSource for good", () => {
    reconnecting(open);
    newest().refused();
    expect(sources.length).toBe(1);
    vi.advanceTimersByTime(500);
    expect(sources.length).toBe(2);
  });
  it("is left to the browser while that tries by itself", () => {
    reconnecting(open);
    newest().broken();
    vi.advanceTimersByTime(60_000);
    expect(sources.length).toBe(1);
  });
  it("pauses longer from one refusal to the next, up to ten seconds, and briefly again after success", () => {
    reconnecting(open);
    const pauses = [];
    for (let refusal = 0; refusal < 7; ++refusal) {
      newest().refused();
      const before = sources.length;
      const began = Date.now();
      while (sources.length === before) vi.advanceTimersByTime(100);
      pauses.push(Date.now() - began);
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    newest().accepted();
    newest().refused();
    const before = sources.length;
    vi.advanceTimersByTime(500);
    expect(sources.length).toBe(before + 1);
  });
  it("is closed for good when nobody wants it, also in the middle of a pause", () => {
    const stop = reconnecting(open);
    newest().accepted();
    stop();
    expect(newest().readyState).toBe(2);

    const stopPausing = reconnecting(open);
    newest().refused();
    const before = sources.length;
    stopPausing();
    vi.advanceTimersByTime(60_000);
    expect(sources.length).toBe(before);
  });
});
