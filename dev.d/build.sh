# ./dev build [PRESET] [TARGET...]: compiles; without targets the programs, and the web console. The tests are target `all`.
source dev.d/packages.sh
source dev.d/node.sh

command_build() {
  local preset=${1:-${KARREG_PRESET:-release}}
  [ $# -eq 0 ] || shift
  build_programs "$preset" "${@:-programs}"
  say "programs: build/$preset/bin/"
  if [ $# -eq 0 ]; then
    build_console
    say "web console: webui/dist/"
  fi
}

# configure_build PRESET
configure_build() {
  [ -e "build/$1/build.ninja" ] || run_logged "configure-$1" "configuring the build ($1)" cmake --preset "$1" ||
    die "CMake could not configure the build"
}

# build_programs PRESET [TARGET...]: those targets, or all. Two builds in one folder would break each other: one waits.
build_programs() {
  local preset=$1 turn
  shift
  ensure_packages build
  grep -qF "\"$preset\"" <<<"$(cmake --list-presets)" || die "there is no preset \"$preset\" in CMakePresets.json"
  mkdir -p build
  exec {turn}>"build/$preset.lock"
  flock --nonblock "$turn" || {
    say "waiting for another ./dev that compiles ($preset)"
    flock "$turn"
  }
  configure_build "$preset"
  run_logged "build-$preset" "compiling ($preset)" \
    cmake --build --preset "$preset" -j "$KARREG_JOBS" ${1:+--target "$@"} || die "it does not compile"
  # What inherited it, a daemon perhaps, does not hold it.
  flock --unlock "$turn"
  exec {turn}>&-
}
