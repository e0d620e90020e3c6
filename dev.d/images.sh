# ./dev images [--stock-kernel|--own-kernel]: kernel, templates and runtime images of the virtual machines, in
# KARREG_CACHE_DIR/images.
source dev.d/build.sh

command_images() {
  case ${1:-} in
    '' | --stock-kernel | --own-kernel) [ $# -le 1 ] || wrong_use "images: one kind of kernel, not \"$*\"" ;;
    *) wrong_use "images: unknown argument $1" ;;
  esac
  make_images "${KARREG_PRESET:-release}" "$@"
}

# make_images PRESET [--stock-kernel|--own-kernel]: what exists already is found by the digest of its recipe and not made
# again. Where our kernel cannot be compiled, Debian's takes its place; the store remembers that.
make_images() {
  local preset=$1 code=0
  shift
  _prepare_images "$preset"
  _build_images images "making the VM images (the first time: some 20 minutes)" images "$preset" "$@" || code=$?
  if [ "$code" -eq 3 ] && [ $# -eq 0 ]; then
    warn "our own kernel could not be made, for the reason above; Debian's stock kernel takes its place: it boots more slowly. \
./dev images --own-kernel tries again"
    code=0
    _build_images images "making the VM images with Debian's kernel" images "$preset" --stock-kernel || code=$?
  fi
  [ "$code" -eq 0 ] || die "the images could not be made"
}

# add_images NAME...: runtimes that are not made by default.
add_images() {
  run_logged images-added "making the images of $*" images/build add "$@" --out "$KARREG_CACHE_DIR/images" ||
    die "the images of $* could not be made"
}

# make_stock_images PRESET: a second, small store in KARREG_CACHE_DIR/images-stock with Debian's kernel, for the test that
# boots it. All else is linked from the first one.
make_stock_images() {
  _prepare_images "$1"
  _build_images images-stock "making images with Debian's stock kernel" images-stock "$1" --stock-kernel --only static \
    --share "$KARREG_CACHE_DIR/images" || die "the images with Debian's stock kernel could not be made"
}

_prepare_images() {
  local preset
  preset=$(_guest_preset "$1")
  need_root "making images"
  ensure_packages build images
  # Also where there is one: it may be older than its source.
  build_programs "$preset" karreg-init
}

# _guest_preset PRESET: which build the images get their PID 1 from. It is linked statically, which the sanitizers are not made for.
_guest_preset() {
  case $1 in
    asan) echo debug ;;
    *) echo "$1" ;;
  esac
}

# _build_images LOG WHAT FOLDER PRESET OPTIONS...
_build_images() {
  local log=$1 what=$2 out=$KARREG_CACHE_DIR/$3 init
  init=$(bin_dir "$(_guest_preset "$4")")/karreg-init
  shift 4
  # QEMU runs as a user of its own and must be able to enter the folder.
  install -d -m 755 "$KARREG_CACHE_DIR" "$out"
  run_logged "$log" "$what" images/build --out "$out" --init "$init" --jobs "$KARREG_JOBS" "$@"
}
