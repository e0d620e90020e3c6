import type { LogLine } from "./api/types";

/** The newest lines of a log, at most `capacity`; older ones fall out and are counted. Lines that come twice after a reconnection are kept once. */
export class LogBuffer {
  private kept: LogLine[] = [];
  private ids = new Set<string>();
  private forgotten = 0;

  constructor(private readonly capacity: number) {
    if (capacity < 1) throw new RangeError("a log buffer holds at least one line");
  }

  add(line: LogLine): void {
    if (this.ids.has(line.id)) return;
    this.ids.add(line.id);
    this.kept.push(line);
    while (this.kept.length > this.capacity) {
      const oldest = this.kept.shift();
      if (oldest !== undefined) this.ids.delete(oldest.id);
      this.forgotten += 1;
    }
  }

  get lines(): readonly LogLine[] {
    return this.kept;
  }

  /** How many lines fell out. */
  get dropped(): number {
    return this.forgotten;
  }
}
