/** What is used of an EventSource. */
export interface Source {
  readonly readyState: number;
  addEventListener(type: "open" | "error", listener: () => void): void;
  close(): void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** EventSource.CLOSED */
const CLOSED = 2;

/**
 * Keeps a stream of events open until the returned function is called. An EventSource resumes by itself when its connection breaks,
 * but gives up for good on any answer other than 200: then `open` is called for another one, after pauses that grow.
 */
export function reconnecting(open: () => Source): () => void {
  let source: Source;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE_MS;
  const start = () => {
    const mine = (source = open());
    mine.addEventListener("open", () => {
      pause = FIRST_PAUSE_MS;
    });
    mine.addEventListener("error", () => {
      if (mine.readyState !== CLOSED) return;
      timer = setTimeout(start, pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    });
  };
  start();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
