#include "builder/submodule_step.hpp"

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
  echo "$1 could not be fetched. If its repository is private, set CC_GIT_CREDENTIALS=https://USER:TOKEN@HOST with a token that may read it. If the answer was 403 from the proxy, builds may not reach its host: the platform's operator lists those (agent.egress_hosts)." >&2
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

constexpr const char* public_hosts[] = {"bitbucket.org", "codeberg.org", "github.com",
                                        "gitlab.com"};

}  // namespace

wire::guest::BuildStep submodule_step(const std::vector<Submodule>& all) {
  std::map<std::string, std::string> sites;
  for (const Submodule& each : all) sites.emplace(each.url.host, each.url.site);
  for (const std::string host : public_hosts) sites.emplace(host, "https://" + host + "/");
  std::string script = functions;
  for (const auto& [host, site] : sites)
    script += "by_http " + shell_quote(site) + " " + shell_quote(host) + "\n";
  for (const Submodule& each : all)
    script += "submodule " + shell_quote(each.path) + " " + shell_quote(each.commit) + " " +
              shell_quote(each.url.fetched) + " " + shell_quote(each.url.shown) + "\n";
  script.pop_back();
  return {"submodules", script};
}

}  // namespace karreg::builder
