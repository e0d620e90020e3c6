# ./dev tidy [FILTER]: clang-tidy, with the checks of .clang-tidy, over the C++ files whose path contains FILTER.
source dev.d/build.sh

command_tidy() {
  local filter=${1:-} preset=debug code=0
  # Its compile commands, and the precompiled headers that they name.
  build_programs "$preset"
  mkdir -p "$LOGS"
  say "clang-tidy (log: build/logs/tidy.log)"
  "$PYTHON" -B dev.d/tidy.py "$preset" "$KARREG_JOBS" "$LOGS/tidy.log" "$filter" || code=$?
  case $code in
    0) say "no findings" ;;
    4) die "clang-tidy has findings: see above" ;;
    2) exit 2 ;;
    *) die "clang-tidy could not check every file: see above" ;;
  esac
}
