import { useLayoutEffect, useRef } from "preact/hooks";
import type { LiveLog } from "./hooks";

/** A state as a coloured word. */
export function Badge({ label }: { label: string }) {
  return (
    <span class="badge" data-state={label.toLowerCase()}>
      {label}
    </span>
  );
}

/** Lines of a log; stays at the end while the reader is there. */
export function Log({ log }: { log: LiveLog }) {
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && atEnd.current) element.scrollTop = element.scrollHeight;
  });
  return (
    <>
      <p>
        <small role="status">
          {log.state === "interrupted" ? "connection lost, trying again" : log.state}
          {log.dropped > 0 && `, ${log.dropped} older lines not shown`}
        </small>
      </p>
      <pre
        ref={box}
        class="log"
        tabIndex={0}
        aria-label="log"
        onScroll={(event) => {
          const element = event.currentTarget;
          atEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - 4;
        }}
      >
        {log.lines.map((line) => (
          <span key={line.id} data-service={line.service}>
            <time dateTime={line.date}>{line.date.slice(11, 23)}</time> {line.message}
            {"\n"}
          </span>
        ))}
      </pre>
    </>
  );
}
