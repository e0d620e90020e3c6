#include "builder/submodule_step.hpp"

#include <algorithm>
#include <map>

#include "builder/shell_line.hpp"

namespace karreg::builder {
namespace {

// Submodules of submodules are named by files that nobody has read yet: git itself may use HTTP
// alone for them, and finds what asks for SSH by HTTPS.
constexpr const char* functions = R"sh(scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$scratch/config
export GIT_ALLOW_PROTOCOL=https:http GIT_TERMINAL_PROMPT=0
unset GIT_ASKPASS SSH_ASKPASS
git config --global init.defaultBranch main
git config --global http.lowSpeedLimit 1000
git config --global http.lowSpeedTime 60
if [ -n "${CC_GIT_CREDENTIALS:-}" ]; then
  (umask 077; tr -s '[:space:]' '\n' <<<"$CC_GIT_CREDENTIALS" >"$scratch/credentials")
  git config --global credential.helper "store --file='$scratch/credentials'"
fi
by_http() {
  git config --global --add "url.$1.insteadOf" "git@$2:"
  git config --global --add "url.$1.insteadOf" "ssh://git@$2/"
}
not_fetched() {
  echo "$1 could not be fetched. If its repository is private, set CC_GIT_CREDENTIALS=https://USER:TOKEN@HOST with a token that may read it, or CC_SSH_PRIVATE_KEY to a key that may. If the answer was 403 from the proxy, builds may not reach its host: the platform's operator lists those (agent.egress_hosts)." >&2
  return 1
}
# Servers that give no single commit, or nothing without its history, give all of it.
inner_submodules() {
  if git submodule --quiet update --init --recursive --depth 1 2>"$scratch/said"; then return; fi
  git submodule --quiet deinit --force --all
  rm -rf .git/modules
  git submodule --quiet update --init --recursive
}
submodule() (
  echo "$1: $4 at ${2:0:12}"
  git init --quiet "./$1"
  cd "./$1"
  git remote add origin "$3"
  git fetch --quiet --depth 1 origin "$2" 2>"$scratch/said" ||
    git fetch --quiet --tags origin || not_fetched "$1"
  if ! git cat-file -e "$2^{commit}" 2>"$scratch/said"; then
    echo "$1: $4 does not have the commit $2, which this repository names. Push it there." >&2
    return 1
  fi
  git checkout --quiet --detach "$2"
  if [ -e .gitmodules ]; then inner_submodules || not_fetched "A submodule of $1"; fi
  find . -name .git -prune -exec rm -rf {} +
)
)sh";

// What ssh needs: the key, who the hosts are, and the way through the proxy that builds get out by
// (CONNECT, RFC 9110 §9.3.6).
constexpr const char* ssh_functions = R"sh(key=$CC_SSH_PRIVATE_KEY
case $key in *$'\n'*) ;; *) key=${key//'\n'/$'\n'} ;; esac
(umask 077; printf '%s\n' "$key" | tr -d '\r' >"$scratch/key")
unset key
cat >"$scratch/through_proxy" <<'END'
proxy=${https_proxy#*://} proxy=${proxy%/}
exec 3<>"/dev/tcp/${proxy%:*}/${proxy##*:}" || exit 1
printf 'CONNECT %s:%s HTTP/1.1\r\nHost: %s:%s\r\n\r\n' "$1" "$2" "$1" "$2" >&3
IFS= read -r line <&3
while IFS= read -r rest <&3 && [ "$rest" != $'\r' ]; do :; done
case $line in
  *' 200 '*) ;;
  *) echo "CONNECT to $1:$2: ${line%$'\r'}. Builds may not reach that port: the platform's operator lists it as $1:$2 (agent.egress_hosts)." >&2
     exit 1 ;;
esac
cat <&3 &
cat >&3
wait
END
ssh="ssh -F none -i '$scratch/key' -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
ssh+=" -o UserKnownHostsFile='$scratch/known_hosts' -o GlobalKnownHostsFile=/dev/null -o ConnectTimeout=30"
ssh+=" -o ServerAliveInterval=15 -o LogLevel=ERROR"
[ -z "${https_proxy:-}" ] || ssh+=" -o ProxyCommand='bash $scratch/through_proxy %h %p'"
export GIT_SSH_COMMAND=$ssh GIT_SSH_VARIANT=ssh GIT_ALLOW_PROTOCOL=https:http:ssh
)sh";

constexpr const char* public_hosts[] = {"bitbucket.org", "codeberg.org", "github.com",
                                        "gitlab.com"};

}  // namespace

// As the hosts publish them, each on a page of its documentation.
const std::string_view known_ssh_hosts =
    "bitbucket.org ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO\n"
    "codeberg.org ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB\n"
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
    "gitlab.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf\n";

wire::guest::BuildStep submodule_step(const std::vector<Submodule>& all) {
  std::map<std::string, std::string> sites;
  for (const Submodule& each : all) sites.emplace(each.url.host, each.url.site);
  for (const std::string host : public_hosts) sites.emplace(host, "https://" + host + "/");
  std::string script = functions;
  const bool by_ssh = std::ranges::any_of(all, &Submodule::by_ssh);
  if (by_ssh) {
    script += ssh_functions;
    script += "printf '%s\\n' " + shell_quote(std::string(known_ssh_hosts)) +
              " \"${CC_SSH_KNOWN_HOSTS:-}\" >\"$scratch/known_hosts\"\n";
    // Submodules of theirs on the same hosts are reached in the same way.
    for (const Submodule& each : all)
      if (each.by_ssh) sites.erase(each.url.host);
  }
  for (const auto& [host, site] : sites)
    script += "by_http " + shell_quote(site) + " " + shell_quote(host) + "\n";
  for (const Submodule& each : all)
    script += "submodule " + shell_quote(each.path) + " " + shell_quote(each.commit) + " " +
              shell_quote(each.by_ssh ? each.url.by_ssh : each.url.fetched) + " " +
              shell_quote(each.by_ssh ? each.url.by_ssh : each.url.shown) + "\n";
  script.pop_back();
  return {"submodules", script};
}

}  // namespace karreg::builder
