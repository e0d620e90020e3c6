#!/usr/bin/env bash
# Dockerfiles: built in the build VM on a base image of a registry, run as the image says; and what is said where the base image
# cannot be had.
source "$(dirname "$0")/lib.sh"

NAME=${KARREG_TEST_REGISTRY_HOST%:*} PORT=${KARREG_TEST_REGISTRY_HOST##*:}
cat >"$WORK/registry.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $WORK/registry}}
http: {addr: "$(getent ahostsv4 "$NAME" | awk 'NR == 1 {print $1}'):$PORT"}
YAML
# It ends with this test, whatever ends that.
setpriv --pdeathsig TERM docker-registry serve "$WORK/registry.yml" >"$WORK/registry.log" 2>&1 &
REGISTRY=$!
check "a registry answers by the name of this machine" wait_until 30 curl -fsS --max-time 5 "http://$NAME:$PORT/v2/"

# A base image of Debian's busybox, as an archive of docker.
mkdir -p "$WORK/root/bin" "$WORK/root/etc" "$WORK/root/tmp" "$WORK/image"
cp /bin/busybox "$WORK/root/bin/busybox"
for applet in sh id stat httpd mkdir echo; do ln -s busybox "$WORK/root/bin/$applet"; done
echo 'web:x:101:102::/srv:/bin/sh' >"$WORK/root/etc/passwd"
tar -C "$WORK/root" --owner=0 --group=0 -cf "$WORK/image/layer.tar" .
/usr/bin/python3 - "$WORK/image" <<'PYTHON'
import hashlib, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
layer = hashlib.sha256((folder / "layer.tar").read_bytes()).hexdigest()
config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]}}
(folder / "config.json").write_text(json.dumps(config))
(folder / "manifest.json").write_text(json.dumps([{"Config": "config.json", "RepoTags": ["base:1"], "Layers": ["layer.tar"]}]))
PYTHON
tar -C "$WORK/image" -cf "$WORK/base.tar" manifest.json config.json layer.tar
run skopeo copy --insecure-policy --dest-tls-verify=false "docker-archive:$WORK/base.tar" "docker://$NAME:$PORT/library/base:1"
check "it has a base image" succeeds

new_app docker
new_tree docker
cat >"$TREE/Dockerfile" <<'DOCKERFILE'
FROM base:1
ARG WORD=none
COPY page.html /srv/www/index.html
RUN echo "built with $WORD by $(id -u)" >>/srv/www/index.html
ENV GREETING=image
WORKDIR /srv/www
USER web
CMD echo "$(id -u) in $PWD of the $GREETING" >/tmp/who; exec httpd -f -p "$PORT"
DOCKERFILE
echo '<p>an image' >"$TREE/page.html"
set_env WORD "of the app"
set_env CC_DOCKER_MIRROR "http://$NAME:$PORT"
LIMIT=900 push
check "a Dockerfile is built on a base image of a registry, and deployed" succeeds "Detected Dockerfile \(Dockerfile\)\."
check "the app answers with what its image has" answers "<p>an image"
check "an ARG had the app's variable, and RUN was root" answers "built with of the app by 0"

echo '<p>another image' >"$TREE/page.html"
set_env CC_RUN_COMMAND "echo \\\"\$(id -u) in \$PWD of the \$GREETING\\\" >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"
LIMIT=300 push
check "the owner's start command goes before the image's" succeeds "Successfully deployed"
check "and runs as the user, in the folder and with the variables of the image" answers "^101 in /srv/www of the image"

sed -i "s|^FROM .*|FROM registry.not-listed.example/base:1|" "$TREE/Dockerfile"
LIMIT=300 push
check "a base image of a registry that builds may not reach fails the build, which names the registry" \
  fails "The base image cannot be fetched: the registry registry.not-listed.example is not reached"
check "and says what to configure" said "agent\.egress_hosts"
check "the version before goes on" answers "^101 in /srv/www of the image"
kill "$REGISTRY"
wait "$REGISTRY" 2>/dev/null
finish
