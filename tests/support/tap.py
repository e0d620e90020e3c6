"""TAP lines: what ./dev test counts of a script."""


class Tap:
    """Prints one line for each sentence that held or did not; `code()` is the script's exit code."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, sentence, held, *notes):
        """@p notes: said before a sentence that did not hold, so that its reader knows why."""
        self.count += 1
        if not held:
            self.failed += 1
            for note in notes:
                for line in str(note).splitlines()[:60]:
                    print(f"# {line}")
        print(f"{'ok' if held else 'not ok'} {self.count} - {sentence}", flush=True)
        return held

    def skip(self, sentence, reason):
        self.count += 1
        print(f"ok {self.count} - {sentence} # SKIP {reason}", flush=True)

    @staticmethod
    def say(text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def code(self):
        """The plan stands at the end, since a table may grow."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed or self.count == 0 else 0
