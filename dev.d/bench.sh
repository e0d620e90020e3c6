# ./dev bench [NAME] [--quick]: runs tests/bench/NAME; its last line of stdout is one JSON object (docs/architecture.md).
source dev.d/packages.sh

command_bench() {
  local name=${1:-} file
  case $name in
    '' | -*) list_benchmarks && return 0 ;;
  esac
  shift
  file=tests/bench/$name
  [[ $name != */* ]] && [ -f "$file" ] && [ -x "$file" ] || {
    echo "./dev: there is no benchmark \"$name\"." >&2
    list_benchmarks >&2
    exit 2
  }
  # A platform to measure, and what makes the disks of its peers.
  ensure_packages run images bench >&2
  exec "$file" "$@"
}

list_benchmarks() {
  local file found=
  echo "benchmarks (./dev bench NAME [--quick]):"
  for file in tests/bench/*; do
    if [ -f "$file" ] && [ -x "$file" ]; then
      # The first comment line after the interpreter's says what is measured.
      printf '  %-16s %s\n' "${file##*/}" "$(sed -n '2s/^[#"/ ]*//p' "$file")"
      found=yes
    fi
  done
  [ -n "$found" ] || echo "  (none yet in tests/bench/)"
}
