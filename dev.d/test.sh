# ./dev test: the kinds of tests, each with what it needs, and one table at the end.
#
#   unit         Catch2 programs (CTest label `unit`) and the guards of our conventions; no services
#   simulation   Catch2 programs (label `simulation`): the scheduler's core in a simulated world
#   integration  Catch2 programs (label `integration`) against a private PostgreSQL, RabbitMQ, libvirt and real images
#   conformance  tests/conformance/*_test.*: foreign clients against a whole platform
#   e2e          tests/e2e/*_test.*: a whole platform, real pushes, faults
source dev.d/images.sh
source dev.d/node.sh
source dev.d/services.sh
source dev.d/supervisor.sh

ALL_KINDS=(unit simulation integration conformance e2e)
RESULTS=$ROOT/build/logs/test-results

command_test() {
  local kinds=() filter= preset=${KARREG_PRESET:-debug}
  case ${1:-all} in
    all) kinds=("${ALL_KINDS[@]}") ;;
    unit | simulation | integration | conformance | e2e) kinds=("$1") ;;
    *) wrong_use "test: there is no kind \"$1\"" ;;
  esac
  filter=${2:-}
  ensure_packages build
  rm -rf "$RESULTS"
  mkdir -p "$RESULTS"
  local kind
  for kind in "${kinds[@]}"; do
    "_prepare_$kind" "$preset" "$filter"
    # A failed kind does not hide the next one: the table at the end decides.
    "$PYTHON" dev.d/run_tests.py run "$kind" --preset "$preset" --filter "$filter" --results "$RESULTS" || true
  done
  _stop_platform
  "$PYTHON" dev.d/run_tests.py report --results "$RESULTS" --allowed-skips tests/allowed-skips "${kinds[@]}"
}

_targets() { "$PYTHON" dev.d/run_tests.py targets "$1" --preset "$2" --filter "$3"; }

_prepare_unit() {
  ensure_packages build
  configure_build "$1"
  local targets
  targets=$(_targets unit "$1" "$2")
  if [ -n "$targets" ]; then build_programs "$1" $targets; fi
}

_prepare_simulation() {
  configure_build "$1"
  local targets
  targets=$(_targets simulation "$1" "$2")
  if [ -n "$targets" ]; then build_programs "$1" $targets; fi
}

_prepare_integration() {
  ensure_packages build run tests
  build_programs "$1"
  make_images "$1"
  _start_platform services --services-only --throw-away
  export KARREG_TEST_DATABASE_URL KARREG_TEST_BROKER KARREG_TEST_IMAGES_DIR=$KARREG_CACHE_DIR/images
  KARREG_TEST_DATABASE_URL=$(postgres_url "$PLATFORM")
  KARREG_TEST_BROKER=$(rabbitmq_url "$PLATFORM")
}

_prepare_conformance() { _prepare_e2e "$@"; }

# One platform for all end-to-end tests: its start takes longer than most of them.
_prepare_e2e() {
  ensure_packages build run tests
  build_programs "$1"
  make_images "$1"
  build_console
  ensure_node 20.19
  # Limits that a test can reach in its time.
  export KARREG_BUILDER_WALL_MS=60000 KARREG_SCHEDULER_START_TIMEOUT=60s KARREG_API_MAX_PUSH_BYTES=20971520
  _start_platform whole --preset "$1" --throw-away
  export KARREG_TEST_DATA=$PLATFORM KARREG_TEST_BIN KARREG_TEST_API KARREG_TEST_PROXY_PORT KARREG_TEST_PROXY_ADMIN
  KARREG_TEST_BIN=$(bin_dir "$1")
  KARREG_TEST_API=http://127.0.0.1:$(value_of "$PLATFORM/ports.env" API_PORT)
  KARREG_TEST_PROXY_PORT=$(value_of "$PLATFORM/ports.env" PROXY_PORT)
  KARREG_TEST_PROXY_ADMIN=http://127.0.0.1:$(value_of "$PLATFORM/ports.env" PROXY_ADMIN_PORT)
}

PLATFORM= PLATFORM_SHAPE=

# _start_platform SHAPE ARGUMENTS...: a throw-away platform of that shape, unless it is the one that runs.
_start_platform() {
  local shape=$1
  shift
  [ "$PLATFORM_SHAPE" != "$shape" ] || return 0
  _stop_platform
  PLATFORM=$(mktemp -d /var/tmp/karreg-test.XXXXXX)
  PLATFORM_SHAPE=$shape
  chmod 755 "$PLATFORM"
  trap _stop_platform EXIT
  trap 'exit 130' INT TERM
  run_logged "platform-$shape" "starting a platform for the tests ($shape)" "$ROOT/dev" up --data "$PLATFORM" "$@" || {
    _keep_logs
    die "the platform for the tests did not start"
  }
}

# The logs of its parts stay in build/logs/platform/ for whoever reads a failure.
_keep_logs() {
  rm -rf "$LOGS/platform-$PLATFORM_SHAPE-parts"
  cp -r "$PLATFORM/log" "$LOGS/platform-$PLATFORM_SHAPE-parts" 2>/dev/null || true
}

_stop_platform() {
  [ -n "$PLATFORM" ] || return 0
  _keep_logs
  "$ROOT/dev" down --data "$PLATFORM" --wipe >"$LOGS/platform-down.log" 2>&1 ||
    { warn "the platform of the tests did not stop cleanly" && tail_of "$LOGS/platform-down.log"; }
  PLATFORM='' PLATFORM_SHAPE=''
}
