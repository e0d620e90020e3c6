# ./dev test: the kinds of tests, each with what it needs, and one table at the end.
#
#   unit         Catch2 programs (CTest label `unit`), ./dev itself (tests/dev), the guards of our conventions; no services
#   simulation   Catch2 programs (label `simulation`): the scheduler's core in a simulated world
#   integration  Catch2 programs (label `integration`) against a private PostgreSQL, RabbitMQ, libvirt and real images
#   conformance  tests/conformance/*_test.*: foreign clients against a whole platform
#   e2e          tests/e2e/*_test.*: a whole platform, real pushes, faults
source dev.d/images.sh
source dev.d/node.sh
source dev.d/services.sh
source dev.d/settings.sh
source dev.d/supervisor.sh

RESULTS=$ROOT/build/logs/test-results

command_test() {
  # Of each run side by side: the kinds that need the same.
  local runs=() filter= preset=${KARREG_PRESET:-debug}
  case ${1:-all} in
    all) runs=(unit simulation integration "conformance e2e") ;;
    unit | simulation | integration | conformance | e2e) runs=("$1") ;;
    *) wrong_use "test: there is no kind \"$1\"" ;;
  esac
  filter=${2:-}
  ensure_packages build
  rm -rf "$RESULTS"
  mkdir -p "$RESULTS"
  local run code=0 lanes
  for run in "${runs[@]}"; do
    code=0
    # A kind without a match needs no platform.
    [ -z "$filter" ] || _has_match "$run" "$preset" "$filter" || continue
    "_prepare_${run##* }" "$preset" "$filter" "$run"
    mapfile -t lanes < <(_lanes)
    _run_kinds $run --preset "$preset" --filter "$filter" --results "$RESULTS" "${lanes[@]}" || code=$?
    # A failed run does not hide the next one: the table at the end decides. An interrupt ends them all.
    [ "$code" -lt 128 ] || break
  done
  _stop_platforms
  local failed=0
  "$PYTHON" dev.d/run_tests.py report --results "$RESULTS" --allowed-skips tests/allowed-skips \
    --filter "$filter" ${runs[*]} || failed=1
  [ "$code" -lt 128 ] || exit "$code"
  return "$failed"
}

# _run_kinds KIND... ARGUMENTS...: run_tests.py, which ends its programs when it is told to. A shell that waits for a child in the
# foreground would not pass the signal on.
_run_kinds() {
  local pid code=0 saved
  saved=$(trap -p INT TERM)
  "$PYTHON" dev.d/run_tests.py run "$@" &
  pid=$!
  trap 'kill -TERM "$pid" 2>/dev/null || true' INT TERM
  until
    wait "$pid" && code=0 || code=$?
    ! kill -0 "$pid" 2>/dev/null
  do :; done
  trap - INT TERM
  eval "$saved"
  return "$code"
}

_has_match() {
  case $1 in unit | simulation | integration) configure_build "$2" ;; esac
  [ -n "$("$PYTHON" dev.d/run_tests.py names $1 --preset "$2" --filter "$3")" ]
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
  add_images oci # of guest_vms
  make_stock_images "$1"
  _start_platforms services "$(_lane_count integration "$1" "$2")" --services-only --throw-away
}

_prepare_conformance() { _prepare_e2e "$@"; }

# A platform's start takes longer than most end-to-end tests, so those of a lane share one. What measures is alone: a neighbour
# on two processors would show in it as slow answers.
_prepare_e2e() {
  ensure_packages build run tests
  build_programs "$1"
  make_images "$1"
  # Those of tests/e2e/languages_test.sh and docker_test.sh, which would otherwise wait for them within their time.
  add_images php ruby java rust perl go oci
  build_console
  ensure_node 20.19
  # Limits that a test can reach in its time.
  export KARREG_SCHEDULER_START_TIMEOUT=60s KARREG_API_MAX_PUSH_BYTES=20971520
  # Git servers of tests/e2e/submodules_test.sh, by HTTP and by SSH, and the registry of docker_test.sh, by the name of this machine: build
  # VMs reach hosts by name alone.
  local name ports
  name=$(hostname | tr '[:upper:]' '[:lower:]')
  ports=$("$PYTHON" dev.d/free_ports.py GIT=0 SSH=0 REGISTRY=0)
  KARREG_TEST_GIT_HOST=$name:$(sed -n 's/^GIT=//p' <<<"$ports")
  KARREG_TEST_SSH_HOST=$name:$(sed -n 's/^SSH=//p' <<<"$ports")
  KARREG_TEST_REGISTRY_HOST=$name:$(sed -n 's/^REGISTRY=//p' <<<"$ports")
  export KARREG_AGENT_EGRESS_HOSTS="$KARREG_TEST_GIT_HOST $KARREG_TEST_SSH_HOST $KARREG_TEST_REGISTRY_HOST" KARREG_AGENT_EGRESS_PRIVATE=true
  KARREG_TEST_BIN=$(bin_dir "$1")
  _start_platforms whole "$(_lane_count "$3" "$1" "$2")" --preset "$1" --throw-away
}

# Lanes: each has a platform, and runs one test program at a time with the variables of that platform. These tests wait much
# and compute little, so two lanes keep two processors busy; those of one platform would disturb each other.
MOST_LANES=2
PLATFORMS=() PLATFORM_SHAPE=

# _lane_count KINDS PRESET FILTER: no more than there are programs to run.
_lane_count() {
  local programs
  programs=$("$PYTHON" dev.d/run_tests.py names $1 --preset "$2" --filter "$3" | wc -l)
  echo $((programs < MOST_LANES ? programs : MOST_LANES))
}

# _variables_services PLATFORM, _variables_whole PLATFORM: what a test of that kind is told, a line NAME=VALUE each.
_variables_services() {
  echo "KARREG_TEST_IMAGES_DIR=$KARREG_CACHE_DIR/images"
  echo "KARREG_TEST_DATABASE_URL=$(postgres_url "$1")"
  echo "KARREG_TEST_BROKER=$(rabbitmq_url "$1")"
}
_variables_whole() {
  echo "KARREG_TEST_DATA=$1"
  echo "KARREG_TEST_BIN=$KARREG_TEST_BIN"
  echo "KARREG_TEST_GIT_HOST=$KARREG_TEST_GIT_HOST"
  echo "KARREG_TEST_SSH_HOST=$KARREG_TEST_SSH_HOST"
  echo "KARREG_TEST_REGISTRY_HOST=$KARREG_TEST_REGISTRY_HOST"
  echo "KARREG_TEST_API=http://127.0.0.1:$(value_of "$1/ports.env" API_PORT)"
  echo "KARREG_TEST_PROXY_PORT=$(value_of "$1/ports.env" PROXY_PORT)"
  echo "KARREG_TEST_PROXY_ADMIN=http://127.0.0.1:$(value_of "$1/ports.env" PROXY_ADMIN_PORT)"
}

# _lanes: the arguments of run_tests.py for the lanes that there are.
_lanes() {
  local platform
  for platform in "${PLATFORMS[@]}"; do
    printf '%s\n' --lane "$platform/lane.env"
  done
}

# _start_platforms SHAPE COUNT ARGUMENTS...: so many throw-away platforms of that shape; those that run already count.
_start_platforms() {
  local shape=$1 count=$2
  shift 2
  [ "$PLATFORM_SHAPE" = "$shape" ] || _stop_platforms
  PLATFORM_SHAPE=$shape
  at_exit _stop_platforms
  trap 'exit 130' INT TERM
  while [ "${#PLATFORMS[@]}" -lt "$count" ]; do _start_platform "$@"; done
}

_start_platform() {
  local platform name
  platform=$(_new_platform_folder)
  PLATFORMS+=("$platform")
  name=$PLATFORM_SHAPE-${#PLATFORMS[@]}
  run_logged "platform-$name" "starting a platform for the tests ($name)" "$ROOT/dev" up --data "$platform" "$@" || {
    _keep_logs "$platform" "$name"
    die "the platform for the tests did not start"
  }
  {
    echo "KARREG_TEST_PLATFORM=$name"
    "_variables_$PLATFORM_SHAPE" "$platform"
  } >"$platform/lane.env"
}

# A folder whose instances get a loopback network that no other lane has.
_new_platform_folder() {
  local folder other
  folder=$(mktemp -d /var/tmp/karreg-test.XXXXXX)
  for other in "${PLATFORMS[@]}"; do
    if [ "$(address_prefix "$other")" = "$(address_prefix "$folder")" ]; then
      rmdir "$folder"
      _new_platform_folder
      return
    fi
  done
  chmod 755 "$folder"
  echo "$folder"
}

# _keep_logs PLATFORM NAME: the logs of its parts stay in build/logs/platform-NAME-parts/ for whoever reads a failure.
_keep_logs() {
  rm -rf "$LOGS/platform-$2-parts"
  cp -r "$1/log" "$LOGS/platform-$2-parts" 2>/dev/null || true
}

_stop_platforms() {
  local platform name log number=0
  for platform in "${PLATFORMS[@]}"; do
    number=$((number + 1))
    name=$PLATFORM_SHAPE-$number
    _keep_logs "$platform" "$name"
    log=$LOGS/platform-$name-down.log
    "$ROOT/dev" down --data "$platform" --wipe >"$log" 2>&1 || {
      warn "the platform of the tests ($name) did not stop cleanly (log: ${log#"$ROOT"/})"
      tail_of "$log"
      # A leak is a failure of what was tested: `report` counts it.
      echo "the platform ($name) did not stop cleanly: ${log#"$ROOT"/}" >>"$RESULTS/platform.failures"
    }
  done
  PLATFORMS=() PLATFORM_SHAPE=''
}
