# ./dev fuzz [NAME [SECONDS]]: runs one fuzz target of tests/fuzz, or each in turn, with Address- and UndefinedBehaviorSanitizer.
source dev.d/build.sh

command_fuzz() {
  local only=${1:-} seconds=${2:-60} name found=
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || wrong_use "fuzz: \"$seconds\" is not a number of seconds"
  for name in $(_fuzz_targets); do
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    found=yes
    build_programs fuzz "fuzz_$name"
    _fuzz "$name" "$seconds"
  done
  [ -n "$found" ] || wrong_use "fuzz: there is no target \"$only\". The targets: $(_fuzz_targets | tr '\n' ' ')"
}

_fuzz_targets() { sed -n 's/^karreg_fuzz(\([a-z0-9_]*\).*)$/\1/p' tests/fuzz/CMakeLists.txt; }

# What it has found worth keeping stays outside the tree: the next run goes on from there. Some begin with examples of ours.
_fuzz() {
  local corpus=$KARREG_CACHE_DIR/fuzz/$1 failures=$LOGS/fuzz/$1 seeds=tests/fuzz/seeds/$1
  mkdir -p "$corpus" "$failures"
  run_logged "fuzz-$1" "fuzzing $1 for $2 s" "build/fuzz/fuzz/fuzz_$1" -max_total_time="$2" -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$failures/" "$corpus" $([ ! -d "$seeds" ] || echo "$seeds") ||
    die "$1 failed: the input that did it is in $failures; run build/fuzz/fuzz/fuzz_$1 FILE to see it again"
  say "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$LOGS/fuzz-$1.log") inputs, none failed"
}
