# The data folder itself, its ports, and <data>/karreg.toml, the one configuration file of all daemons.

# check_data_folder DATA: the folder must be ours, and every user must be able to walk to it: PostgreSQL, RabbitMQ and
# QEMU run as users of their own.
check_data_folder() {
  local data=$1 part=$1
  [[ $data =~ ^/[A-Za-z0-9/._-]+$ ]] ||
    die "the data folder $data must be an absolute path of letters, digits and / . _ -"
  [ "${#data}" -le 60 ] || die "the path of the data folder is ${#data} characters long; sockets in it allow 60"
  if [ -e "$data" ] && [ ! -e "$data/karreg-data" ] && [ -n "$(ls -A "$data")" ]; then
    die "$data is not empty and was not made by ./dev up: choose another folder with --data"
  fi
  while [ "$part" != / ]; do
    part=$(dirname "$part")
    if [ -d "$part" ] && [ -z "$(find "$part" -maxdepth 0 -perm -001)" ]; then
      die "users such as postgres cannot enter $part: choose a data folder outside of it with --data DIR or KARREG_DATA"
    fi
  done
}

# Whose process reads what visitors send.
PROXY_USER=karreg-proxy

make_proxy_user() {
  getent passwd "$PROXY_USER" >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin "$PROXY_USER"
}

make_data_folder() {
  local data=$1
  check_data_folder "$data"
  install -d -m 755 "$data" "$data/run" "$data/repos" "$data/artifacts" # a back-up names the last two
  install -d -m 750 "$data/log"
  echo "a data folder of Karreg, made by ./dev up; ./dev down --data $data --wipe removes it" >"$data/karreg-data"
}

# choose_ports DATA: ports.env. Those of the last time are taken again unless somebody else has them now.
choose_ports() {
  local data=$1 name preferred wanted=()
  # The first platform of a machine gets the ports one can remember; the others get any.
  local -A first=([API_PORT]=8100 [PROXY_PORT]=8080 [PROXY_ADMIN_PORT]=8101)
  for name in API_PORT PROXY_PORT PROXY_ADMIN_PORT BROKER_PORT ERLANG_PORT EPMD_PORT; do
    preferred=$([ ! -e "$data/ports.env" ] || value_of "$data/ports.env" "$name")
    if [ -z "$preferred" ] && [ "$data" = "$DEFAULT_DATA" ]; then preferred=${first[$name]:-}; fi
    wanted+=("$name=${preferred:-0}")
  done
  "$PYTHON" dev.d/free_ports.py "${wanted[@]}" >"$data/ports.env.new"
  mv "$data/ports.env.new" "$data/ports.env"
}

# make_settings DATA: karreg.toml. The settings are explained by `karreg-<daemon> --help` and docs/operating.md.
make_settings() {
  local data=$1 ports=$1/ports.env images=$KARREG_CACHE_DIR/images
  local api proxy
  api=$(value_of "$ports" API_PORT) proxy=$(value_of "$ports" PROXY_PORT)
  (
    umask 077
    cat >"$data/karreg.toml.new" <<TEXT
# Made by ./dev up at each start. To change a setting, give it in the environment of ./dev up, where it wins over this
# file: KARREG_<SECTION>_<KEY>, such as KARREG_AGENT_ACCELERATOR=tcg. Every daemon lists its settings with --help.
[data]
dir = "$data"

[database]
url = "$(postgres_url "$data")"

[broker]
host = "127.0.0.1"
port = $(value_of "$ports" BROKER_PORT)
user = "karreg"
password = "$(rabbitmq_password "$data")"
vhost = "/"

[secrets]
key_file = "$data/secret.key"

[images]
dir = "$images"
command = "$ROOT/images/build"

[api]
listen = "127.0.0.1:$api"
public_url = "http://127.0.0.1:$api"
webui_dir = "$ROOT/webui/dist"
apps_domain = "localhost"
apps_port = $proxy
hook_socket = "$data/run/api-hook.sock"

[tcp]
ports = "$(tcp_ports "$data")"

[scheduler]
images_dir = "$images"
local_ca = "${KARREG_PROXY_TLS_LISTEN:+$data/local-ca}"

[builder]
build_disk_bytes = $(build_disk_bytes "$data")

[agent]
host_id = "host-1"
images_dir = "$images"
libvirt_uri = "embed"
address_prefix = "$(address_prefix "$data")"
ca_file = "$(own_authorities "$data")"

[proxy]
id = "proxy-1"
listen = "127.0.0.1:$proxy"
tcp_listen = "127.0.0.1"
admin_listen = "127.0.0.1:$(value_of "$ports" PROXY_ADMIN_PORT)"
user = "$PROXY_USER"
TEXT
  )
  mv "$data/karreg.toml.new" "$data/karreg.toml"
}

# build_disk_bytes DATA: what is set aside for a build. All that its disks can hold (0), unless that would let no build
# begin on a small disk: 3 GiB are enough for most.
build_disk_bytes() {
  local free
  free=$(df --output=avail -B 1G "$1" | tail -n 1)
  if [ "$free" -ge 28 ]; then echo 0; else echo $((3 << 30)); fi
}

# own_authorities DATA: a file with the certificates of authorities that were added to this machine (update-ca-certificates(8)),
# which builds have to trust, too, to reach what it reaches; nothing where there are none.
own_authorities() {
  local added
  added=$(find /usr/local/share/ca-certificates -name '*.crt' 2>/dev/null | sort)
  [ -n "$added" ] || return 0
  xargs -d '\n' cat <<<"$added" >"$1/added-authorities.pem"
  chmod 644 "$1/added-authorities.pem"
  echo "$1/added-authorities.pem"
}

# tcp_ports DATA: those that TCP services may get. Two platforms on one machine should not want the same.
tcp_ports() {
  local first
  if [ "$1" = /var/lib/karreg-dev ]; then echo 4000-4999; else
    first=$((5000 + 0x$(printf '%s' "$1" | sha256sum | cut -c1-4) % 140 * 100))
    echo "$first-$((first + 99))"
  fi
}

# address_prefix DATA: the loopback network of its instances. Two platforms on one machine must not share one.
address_prefix() {
  if [ "$1" = /var/lib/karreg-dev ]; then echo 127.64; else
    echo "127.$((65 + 0x$(printf '%s' "$1" | sha256sum | cut -c1-4) % 180))"
  fi
}
