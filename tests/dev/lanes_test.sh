#!/usr/bin/env bash
# The lanes of ./dev test: programs run side by side, each with a platform that no other has meanwhile.
source "$(dirname "$0")/lib.sh"
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK/dev.d" "$WORK/results" "$WORK/tests/conformance" "$WORK/tests/e2e"
cp dev.d/run_tests.py "$WORK/dev.d/"
export SEEN=$WORK/seen
mkdir "$SEEN"

# test_file KIND NAME [COMMENT]: one that holds its lane until `go` is there, or for 20 s.
test_file() {
  printf '%s\n' '#!/usr/bin/env bash' "${3:-# of many}" >"$WORK/tests/$1/$2_test.sh"
  cat >>"$WORK/tests/$1/$2_test.sh" <<'TEXT'
me=$(basename "$0" _test.sh)
mkdir "$SEEN/busy-$KARREG_TEST_DATA" && echo "ok 1 - the lane is mine" || echo "not ok 1 - the lane is mine"
echo "$KARREG_TEST_DATA" >"$SEEN/$me"
for _ in $(seq 200); do [ -e "$SEEN/go" ] && break || sleep 0.1; done
rmdir "$SEEN/busy-$KARREG_TEST_DATA"
TEXT
  chmod +x "$WORK/tests/$1/$2_test.sh"
}
test_file conformance a
test_file e2e b "# Alone: it measures"
for name in c d e; do test_file e2e "$name"; done
for lane in one two; do printf 'KARREG_TEST_PLATFORM=%s\nKARREG_TEST_DATA=%s\n' "whole-$lane" "$lane" >"$WORK/$lane.env"; done

"$PYTHON" "$WORK/dev.d/run_tests.py" run conformance e2e --preset none --results "$WORK/results" \
  --lane "$WORK/one.env" --lane "$WORK/two.env" >"$WORK/said" 2>&1 &
runner=$!
both_busy() { [ -e "$SEEN/busy-one" ] && [ -e "$SEEN/busy-two" ]; }
check "two run side by side, of two kinds" wait_until 15 both_busy
check "and no third, nor the one that is to be alone" is "a c" "$(ls "$SEEN" | grep '^.$' | xargs)"
touch "$SEEN/go"
check "all of them pass, one after the other in each lane" wait "$runner"
check "each ran once" is "a b c d e" "$(ls "$SEEN" | grep '^.$' | xargs)"
check "the one that is to be alone came last" is b "$(ls -tr "$SEEN" | grep '^.$' | tail -n 1)"
check "each kind has its results" is "1 4" "$(for kind in conformance e2e; do grep -o '"name"' "$WORK/results/$kind.json" | wc -l; done | xargs)"

source dev.d/test.sh
PLATFORMS=("$WORK/first")
# The network of the first platform is also that of the first folder that is made for a second one.
address_prefix() {
  [ "$1" = "$WORK/first" ] || echo "$1" >>"$WORK/asked"
  if [ "$1" = "$WORK/first" ] || [ "$(wc -l <"$WORK/asked")" = 1 ]; then echo 127.70; else echo 127.71; fi
}
folder=$(_new_platform_folder)
rmdir "$folder"
check "a folder whose network another lane has is not taken" is 2 "$(wc -l <"$WORK/asked")"
check "but the next" is "$folder" "$(tail -n 1 "$WORK/asked")"
check "and nothing is left of it" test ! -e "$(head -n 1 "$WORK/asked")"
finish
