# ./dev images: kernel, templates and runtime images of the virtual machines, in KARREG_CACHE_DIR/images.
source dev.d/build.sh

command_images() {
  [ $# -eq 0 ] || wrong_use "images: unknown argument $1"
  make_images "${KARREG_PRESET:-release}"
}

# make_images PRESET: what exists already is found by the digest of its recipe and not made again.
make_images() {
  need_root "making images"
  ensure_packages build images
  [ -x "$(bin_dir "$1")/karreg-init" ] || build_programs "$1" karreg-init
  # QEMU runs as a user of its own and must be able to enter the folder.
  install -d -m 755 "$KARREG_CACHE_DIR" "$KARREG_CACHE_DIR/images"
  run_logged images "making the VM images (the first time: some 20 minutes)" \
    images/build --out "$KARREG_CACHE_DIR/images" --init "$(bin_dir "$1")/karreg-init" --jobs "$KARREG_JOBS" ||
    die "the images could not be made"
}
