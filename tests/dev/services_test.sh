#!/usr/bin/env bash
# Which services ./dev keeps from the next boot: those that came with a package that it installed, never the machine's own.
source "$(dirname "$0")/lib.sh"
trap 'rm -rf "$WORK"' EXIT
source dev.d/packages.sh

# disables SENTENCE MISSING EXISTING WANTED
disables() { check "$1" is "$4" "$(_services_to_disable "$2" "$3" | tr '\n' ' ' | sed 's/ $//')"; }

all=$'libvirt-daemon-system\npostgresql-15\nrabbitmq-server\nsupervisor'
disables "a bare machine keeps none of what came" "$all" "" \
  "libvirtd libvirt-guests virtlogd virtlockd postgresql rabbitmq-server epmd supervisor"
disables "a machine with its own broker and supervisor keeps them when PostgreSQL comes" \
  postgresql-15 $'rabbitmq-server\nsupervisor' postgresql
disables "a PostgreSQL of another version stays as it was" postgresql-15 postgresql ""
disables "all services of libvirt are kept from the boot, not only its guests" \
  libvirt-daemon-system "" "libvirtd libvirt-guests virtlogd virtlockd"
disables "of libvirt only what was not there before" libvirt-daemon-system $'libvirtd\nvirtlogd\nvirtlockd' libvirt-guests
disables "a package without a service disables nothing" $'passt\ncurl' "" ""
disables "nothing missing disables nothing" "" "$all" ""

missing_from_the_map() {
  local package
  for package in $(packages_of run); do
    case $package in *-server | supervisor | postgresql-* | *-system) [ -n "${SERVICES_OF[$package]:-}" ] || echo "$package" ;; esac
  done
}
check "every server in the list of packages has its services named" is "" "$(missing_from_the_map)"
disables "an Erlang that was there keeps its port mapper" rabbitmq-server epmd rabbitmq-server
finish
