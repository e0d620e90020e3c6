import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api/client";
import type { LogLine } from "./api/types";
import { LogBuffer } from "./log-buffer";
import { reconnecting } from "./reconnecting";

export interface Polled<T> {
  value: T | undefined;
  error: string | undefined;
  /** 401: the session is over. */
  signedOut: boolean;
}

/** Calls `load` now and every `intervalMs` while the page is shown; keeps the last good value when a call fails. */
export function usePolling<T>(load: () => Promise<T>, intervalMs: number, key: string): Polled<T> {
  const [state, setState] = useState<Polled<T>>({ value: undefined, error: undefined, signedOut: false });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    let live = true;
    let timer: ReturnType<typeof setTimeout>;
    const round = async () => {
      try {
        const value = await latest.current();
        if (live) setState({ value, error: undefined, signedOut: false });
      } catch (e) {
        const signedOut = e instanceof ApiError && e.status === 401;
        const error = e instanceof Error ? e.message : String(e);
        if (live) setState((old) => ({ ...old, error, signedOut }));
      }
      if (live) timer = setTimeout(round, intervalMs);
    };
    setState({ value: undefined, error: undefined, signedOut: false });
    void round();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [key, intervalMs]);
  return state;
}

export interface LiveLog {
  lines: readonly LogLine[];
  dropped: number;
  state: "connecting" | "live" | "ended" | "interrupted";
}

/** How many lines a page keeps. */
const CAPACITY = 2000;

/** The address of a stream that begins where the page's last line is; that line comes again and is dropped as a double. */
function resumed(url: string, last: LogLine | undefined): string {
  return last === undefined ? url : `${url}${url.includes("?") ? "&" : "?"}since=${encodeURIComponent(last.date)}`;
}

/** Follows a log stream, also over times without an API: see reconnecting.ts. Redraws at most once a frame. */
export function useLiveLog(url: string | undefined): LiveLog {
  const [log, setLog] = useState<LiveLog>({ lines: [], dropped: 0, state: "connecting" });
  useEffect(() => {
    setLog({ lines: [], dropped: 0, state: "connecting" });
    if (url === undefined) return;
    const buffer = new LogBuffer(CAPACITY);
    let state: LiveLog["state"] = "connecting";
    let frame = 0;
    const redraw = () => {
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        setLog({ lines: [...buffer.lines], dropped: buffer.dropped, state });
      });
    };
    const stop = reconnecting(() => {
      const source = new EventSource(resumed(url, buffer.lines.at(-1)));
      source.addEventListener("open", () => {
        state = "live";
        redraw();
      });
      source.addEventListener("APPLICATION_LOG", (event) => {
        const line = JSON.parse(event.data) as LogLine;
        buffer.add({ ...line, id: event.lastEventId || line.id });
        redraw();
      });
      source.addEventListener("END_OF_STREAM", () => {
        state = "ended";
        stop();
        redraw();
      });
      source.addEventListener("error", () => {
        state = "interrupted";
        redraw();
      });
      return source;
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [url]);
  return log;
}
