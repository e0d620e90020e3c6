# ./dev tidy [FILTER]: clang-tidy, with the checks of .clang-tidy, over the C++ files whose path contains FILTER.
source dev.d/build.sh

command_tidy() {
  local filter=${1:-} preset=debug files findings
  # Its compile commands, and the precompiled headers that they name.
  build_programs "$preset"
  mapfile -t files < <("$PYTHON" - "build/$preset/compile_commands.json" "$ROOT/" "$filter" <<'PY'
import json, sys
commands, root, wanted = sys.argv[1:]
files = {entry["file"].removeprefix(root) for entry in json.load(open(commands))}
print("\n".join(sorted(f for f in files if not f.startswith(("build/", "/")) and wanted in f)))
PY
  )
  [ -n "${files[0]:-}" ] || wrong_use "tidy: no C++ file has \"$filter\" in its path"
  mkdir -p "$LOGS"
  say "clang-tidy over ${#files[@]} files (log: build/logs/tidy.log)"
  # Each file's findings are written at once, so that two of them do not mix.
  printf '%s\n' "${files[@]}" | xargs -P "$KARREG_JOBS" -I{} sh -c \
    'out=$(clang-tidy-19 -p "build/$1" --quiet "$2" 2>/dev/null) || true; printf "%s\n" "$out" "checked $2"' _ "$preset" {} \
    >"$LOGS/tidy.log"
  findings=$(grep -E '(warning|error): .*\[' "$LOGS/tidy.log" | sort -u) || true
  if [ -n "$findings" ]; then
    printf '%s\n' "$findings"
    die "clang-tidy has findings: $(wc -l <<<"$findings")"
  fi
  [ "$(grep -c '^checked ' "$LOGS/tidy.log")" = "${#files[@]}" ] || die "clang-tidy did not check every file: see build/logs/tidy.log"
  say "no findings in ${#files[@]} files"
}
