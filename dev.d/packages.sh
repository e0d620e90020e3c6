# Debian packages, from dev.d/packages/*.txt. Only what is missing is installed, and no service of the machine is started
# by it: a policy-rc.d that forbids it and a createcluster.conf that makes no cluster stand there while apt runs.

POLICY=/usr/sbin/policy-rc.d
CLUSTER_CONF=/etc/postgresql-common/createcluster.conf

# packages_of LIST...: the package names of those lists.
packages_of() {
  local list
  for list in "$@"; do sed 's/#.*//' "dev.d/packages/$list.txt"; done | tr -s ' \t' '\n' | sed '/^$/d' | sort -u
}

# missing_packages LIST...: those of them that are not installed. "a|b" is satisfied by either, "a|/path" by the file too
# (a program that came from elsewhere than Debian).
missing_packages() {
  local installed wanted one
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${binary:Package}\n' 2>/dev/null |
    sed -n 's/^ii  *//p' | sed 's/:.*//' | sort -u)
  packages_of "$@" | while read -r wanted; do
    for one in ${wanted//|/ }; do
      if [ "${one#/}" != "$one" ]; then
        [ ! -e "$one" ] || continue 2
      elif grep -qxF "$one" <<<"$installed"; then
        continue 2
      fi
    done
    echo "${wanted%%|*}"
  done
}

# Nothing of the machine may start because we install: neither now (policy-rc.d, no PostgreSQL cluster) ...
services_are_held=
_hold_services() {
  services_are_held=yes
  if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\n# made by ./dev while it installs packages\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    policy_is_ours=yes
  fi
  mkdir -p "${CLUSTER_CONF%/*}"
  if [ -e "$CLUSTER_CONF" ]; then mv "$CLUSTER_CONF" "$CLUSTER_CONF.karreg-saved"; fi
  printf '# made by ./dev while it installs packages\ncreate_main_cluster = false\n' >"$CLUSTER_CONF"
}

_release_services() {
  [ -n "$services_are_held" ] || return 0
  services_are_held=
  if [ -n "${policy_is_ours:-}" ]; then rm -f "$POLICY"; fi
  rm -f "$CLUSTER_CONF" "$CLUSTER_CONF.ucf-dist"
  if [ -e "$CLUSTER_CONF.karreg-saved" ]; then
    mv "$CLUSTER_CONF.karreg-saved" "$CLUSTER_CONF"
  elif [ -e "/usr/share/postgresql-common/createcluster.conf" ]; then
    cp /usr/share/postgresql-common/createcluster.conf "$CLUSTER_CONF"
  else
    rmdir --ignore-fail-on-non-empty "${CLUSTER_CONF%/*}"
  fi
}

# ... nor at the next boot: we want the programs of these packages, in folders of our own. What the machine used before is
# its own: only the services that came with a package now are disabled.
declare -A SERVICES_OF=(
  [rabbitmq-server]="rabbitmq-server epmd"
  [supervisor]="supervisor"
  [postgresql-15]="postgresql"
  [libvirt-daemon-system]="libvirtd libvirt-guests virtlogd virtlockd"
  [haproxy]="haproxy"
  [nginx]="nginx"
)

# _existing_services: those of them that the machine has.
_existing_services() {
  local service
  for service in ${SERVICES_OF[*]}; do
    # Where systemd does not run, systemctl finds no unit, but its file is there for the next boot.
    if [ -e "/etc/init.d/$service" ] || [ -e "/lib/systemd/system/$service.service" ] ||
      systemctl cat "$service.service" >/dev/null 2>&1; then
      echo "$service"
    fi
  done
}

# _services_to_disable MISSING EXISTING: packages that were missing before the installation, services that existed before
# it -> the services to disable, one a line.
_services_to_disable() {
  local package service
  for package in $1; do
    for service in ${SERVICES_OF[$package]:-}; do
      grep -qxF "$service" <<<"$2" || echo "$service"
    done
  done
}

_keep_from_boot() {
  local service unit
  for service in "$@"; do
    if [ -e "/etc/init.d/$service" ]; then update-rc.d "$service" disable || true; fi
    # One call a unit: systemctl does none of several when it does not know one of them.
    for unit in "$service.service" "$service.socket"; do systemctl --no-reload disable "$unit" || true; done
  done >>"$LOGS/apt-install.log" 2>&1
}

# ensure_packages LIST...
ensure_packages() {
  local missing existing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  need_root "installing packages ($(echo $missing))"
  say "missing Debian packages: $(echo $missing)"
  run_logged apt-update "updating the package lists" apt-get -q update ||
    die "apt-get update failed: check /etc/apt/sources.list and the network"
  existing=$(_existing_services)
  at_exit _release_services
  _hold_services
  # force-confold and UCF_FORCE_CONFFOLD: nobody is there to answer what to do with a changed configuration file.
  UCF_FORCE_CONFFOLD=1 run_logged apt-install "installing $(wc -w <<<"$missing") packages" \
    apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install $missing ||
    die "the packages could not be installed; the message above says why"
  _release_services
  _keep_from_boot $(_services_to_disable "$missing" "$existing")
}

command_packages() {
  local lists=("$@")
  [ ${#lists[@]} -gt 0 ] || lists=(build run images webui tests)
  ensure_packages "${lists[@]}"
  say "all packages are there"
}
