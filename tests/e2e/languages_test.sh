#!/usr/bin/env bash
# The smallest application of each language, from its source to an answer: examples/hello-*. And what a repository says of itself:
# karreg.toml, a folder of a monorepo, a Procfile.
# Images that no other test needs are made by the first push that does.
source "$(dirname "$0")/lib.sh"

# deploys EXAMPLE PATTERN SENTENCE: the example answers, and the push has said PATTERN.
deploys() {
  new_app "${1#hello-}"
  new_tree "$1"
  cp -r "$ROOT/examples/$1/." "$TREE/"
  LIMIT=900 push
  cp "$OUT" "$WORK/push"
  check "$3" succeeds "$2"
  check "$1 answers" answers "Hello from Karreg, version 1"
  cp "$WORK/push" "$OUT"
}

deploys hello-npm "added 1 package" "a Node.js app gets its dependencies by npm ci, from a registry"
check "exactly those of its lock file" said "Install: npm ci \(package-lock.json\)"
sed -i "s/Hello from/Hello again from/" "$TREE/server.js"
LIMIT=900 push
check "another version with the same lock file gets them from the cache" succeeds "node_modules is that of the last build"
check "and answers with its change" answers "Hello again from Karreg, version 1"
deploys hello-php "nginx and PHP-FPM on /app" "a PHP app is served by nginx and PHP-FPM"
deploys hello-ruby "Start: ruby app.rb" "a Ruby app without gems needs no build"
deploys hello-make "The app is the program hello" "a C app is built by make, which says what it built"
deploys hello-java "Build: javac" "a Java app without a build tool is compiled"
deploys hello-rust "Build: cargo build --release --locked" "a Rust app is built by cargo"
deploys hello-perl "Start: starman app.psgi" "a Perl app runs under Starman"
deploys hello-go "Build: go build ." "a Go app is built"

new_app monorepo
new_tree monorepo
mkdir -p "$TREE/apps/web" "$TREE/apps/other"
echo '<p>the web app of the monorepo' >"$TREE/apps/web/index.html"
echo '{"scripts": {"start": "node none.js"}}' >"$TREE/apps/other/package.json"
cat >"$TREE/karreg.toml" <<'TOML'
[build]
folder = "apps/web"
command = "sed -i s/web/built/ index.html && echo \"$GREETING\" >>index.html"

[env]
GREETING = "said by karreg.toml"
TOML
push
check "a folder of a monorepo is the app" succeeds "Detected static site \(index.html in apps/web, from build.folder of karreg.toml\)"
check "its build command has run" answers "the built app of the monorepo"
check "with the environment of karreg.toml" said "said by karreg.toml"

sed -i 's/^command/comand/' "$TREE/karreg.toml"
push
check "a mistake in karreg.toml is refused with its place" fails "karreg.toml, line 3, column 1: .comand. is not known in \[build\]. Did you mean .command.\?"
check "and the version in service goes on" answers "the built app of the monorepo"
finish
