# The parts of the platform that others wrote: a PostgreSQL cluster and a RabbitMQ node in the data folder, never as root,
# never reachable from outside the machine.
#
# Every function takes the data folder first. Owners: <data>/postgres belongs to `postgres`, <data>/rabbitmq to `rabbitmq`.

POSTGRES_BIN=/usr/lib/postgresql/15/bin

# make_postgres DATA: the cluster, the role karreg and its database, and the key of its secrets, once. Who may connect: only
# through the socket, and only root (as karreg or postgres) and postgres itself, which the kernel vouches for ("peer"): no
# password exists.
make_postgres() {
  local data=$1 folder=$1/postgres fresh=$1/postgres.new socket=$1/run/postgres
  install -d -o postgres -g postgres -m 755 "$socket"
  [ ! -e "$folder/PG_VERSION" ] || return 0
  say "making the PostgreSQL cluster"
  rm -rf "$fresh"
  install -d -o postgres -g postgres -m 700 "$fresh"
  (cd / && runuser -u postgres -- "$POSTGRES_BIN/initdb" -D "$fresh" --auth=peer --encoding=UTF8 --locale=C.UTF-8 \
    --no-instructions) >"$data/log/initdb.log" 2>&1 ||
    { tail_of "$data/log/initdb.log" && die "initdb failed"; }
  cat >>"$fresh/postgresql.conf" <<TEXT
listen_addresses = ''
unix_socket_directories = '$socket'
port = 5432                      # only names the socket's file
max_connections = 200
shared_buffers = 64MB
log_line_prefix = '%m [%p] %q%u@%d '
logging_collector = off          # the supervisor keeps the log
include_if_exists = 'karreg.conf'
TEXT
  printf 'karreg root karreg\nkarreg root postgres\nkarreg postgres postgres\n' >>"$fresh/pg_ident.conf"
  printf 'local all all peer map=karreg\n' >"$fresh/pg_hba.conf"
  (cd / && runuser -u postgres -- "$POSTGRES_BIN/postgres" --single -D "$fresh" postgres) \
    >>"$data/log/initdb.log" 2>&1 <<'TEXT' || { tail_of "$data/log/initdb.log" && die "PostgreSQL did not make the database"; }
CREATE ROLE karreg LOGIN CREATEDB
CREATE DATABASE karreg OWNER karreg
TEXT
  # The key of what the new database will hold sealed. One that is lost later is not replaced: nothing would open.
  [ -s "$data/secret.key" ] || (umask 077 && random_hex 32 >"$data/secret.key")
  mv "$fresh" "$folder"
}

# set_postgres_durability DATA on|off: off only for data that is thrown away (tests).
set_postgres_durability() {
  printf 'fsync = %s\nsynchronous_commit = %s\nfull_page_writes = %s\n' "$2" "$2" "$2" >"$1/postgres/karreg.conf"
  chown postgres:postgres "$1/postgres/karreg.conf"
}

postgres_url() { echo "host=$1/run/postgres port=5432 dbname=karreg user=karreg"; }

# postgres_query DATA SQL: one query as karreg, values only.
postgres_query() {
  PGCONNECT_TIMEOUT=5 psql "$(postgres_url "$1")" --no-psqlrc -v ON_ERROR_STOP=1 -qAtc "$2"
}

postgres_is_ready() { postgres_query "$1" 'SELECT 1'; }

# make_rabbitmq DATA: configuration and start script of the node, from ports.env. The password is made once.
make_rabbitmq() {
  local data=$1 folder=$1/rabbitmq password
  install -d -o rabbitmq -g rabbitmq -m 700 "$folder" "$folder/home" "$folder/mnesia" "$folder/config"
  [ -s "$folder/password" ] || (umask 077 && random_hex 24 >"$folder/password")
  [ -s "$folder/home/.erlang.cookie" ] || (umask 077 && random_hex 24 >"$folder/home/.erlang.cookie")
  password=$(cat "$folder/password")
  cat >"$folder/rabbitmq.conf" <<TEXT
listeners.tcp.local = 127.0.0.1:$(value_of "$data/ports.env" BROKER_PORT)
default_vhost = /
default_user = karreg
default_pass = $password
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
loopback_users.karreg = true
cluster_name = karreg
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 200MB
log.console = true
log.console.level = info
log.file = false
TEXT
  echo '[].' >"$folder/enabled_plugins"
  : >"$folder/env.conf"
  # One script, so that the node has exactly this environment whoever starts it.
  cat >"$folder/start" <<TEXT
#!/bin/sh
# made by ./dev up
cd '$folder/home' || exit 1
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME='$folder/home' KARREG_SUPERVISED='$data' \\
  ERL_EPMD_PORT=$(value_of "$data/ports.env" EPMD_PORT) ERL_EPMD_ADDRESS=127.0.0.1 \\
  RABBITMQ_NODENAME=karreg@localhost RABBITMQ_DIST_PORT=$(value_of "$data/ports.env" ERLANG_PORT) \\
  RABBITMQ_CONF_ENV_FILE='$folder/env.conf' RABBITMQ_CONFIG_FILE='$folder/rabbitmq.conf' \\
  RABBITMQ_ADVANCED_CONFIG_FILE='$folder/advanced.config' RABBITMQ_GENERATED_CONFIG_DIR='$folder/config' \\
  RABBITMQ_ENABLED_PLUGINS_FILE='$folder/enabled_plugins' RABBITMQ_MNESIA_BASE='$folder/mnesia' \\
  RABBITMQ_LOG_BASE='$folder' RABBITMQ_PID_FILE='$folder/pid' \\
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}' \\
  RUNNING_UNDER_SYSTEMD=true "\$@"
TEXT
  chown -R rabbitmq:rabbitmq "$folder"
  chmod 600 "$folder/rabbitmq.conf" "$folder/password" "$folder/home/.erlang.cookie"
  chmod 400 "$folder/home/.erlang.cookie"
  chmod 700 "$folder/start"
}

rabbitmq_password() { cat "$1/rabbitmq/password"; }

rabbitmq_url() {
  echo "amqp://karreg:$(rabbitmq_password "$1")@127.0.0.1:$(value_of "$1/ports.env" BROKER_PORT)/"
}

rabbitmq_is_ready() {
  timeout 10 "$PYTHON" "$ROOT/dev.d/amqp_login.py" "$(value_of "$1/ports.env" BROKER_PORT)" karreg \
    "$(rabbitmq_password "$1")"
}

# rabbitmq_tool DATA TOOL ARGUMENTS...: rabbitmqctl and its sisters against this node.
rabbitmq_tool() {
  local data=$1 tool=$2
  shift 2
  (cd / && runuser -u rabbitmq -- "$data/rabbitmq/start" "/usr/lib/rabbitmq/bin/$tool" "$@")
}
