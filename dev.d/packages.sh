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
_hold_services() {
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

# ... nor at the next boot: we want the programs of these packages, in folders of our own.
_keep_from_boot() {
  local service
  for service in rabbitmq-server supervisor postgresql libvirtd libvirt-guests virtlogd; do
    grep -qx "$service\|${service%-guests}-daemon-system\|postgresql-15" <<<"$1" || continue
    [ -e "/etc/init.d/$service" ] && update-rc.d "$service" disable || true
    command -v systemctl && systemctl --no-reload disable "$service.service" "$service.socket" || true
  done >>"$LOGS/apt-install.log" 2>&1
}

# ensure_packages LIST...
ensure_packages() {
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  need_root "installing packages ($(echo $missing))"
  say "missing Debian packages: $(echo $missing)"
  run_logged apt-update "updating the package lists" apt-get -q update ||
    die "apt-get update failed: check /etc/apt/sources.list and the network"
  # In a subshell, so that its EXIT trap puts the machine's files back whatever happens.
  (
    trap _release_services EXIT
    _hold_services
    # force-confold and UCF_FORCE_CONFFOLD: nobody is there to answer what to do with a changed configuration file.
    UCF_FORCE_CONFFOLD=1 run_logged apt-install "installing $(wc -w <<<"$missing") packages" \
      apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install $missing
  ) || die "the packages could not be installed; the message above says why"
  _keep_from_boot "$missing"
}

command_packages() {
  local lists=("$@")
  [ ${#lists[@]} -gt 0 ] || lists=(build run images webui tests)
  ensure_packages "${lists[@]}"
  say "all packages are there"
}
