-- The whole truth of a platform. Who writes which table: docs/contracts.md §1. Times are UTC.

CREATE TABLE users (
  id            text PRIMARY KEY,                 -- user_<uuid>
  email         text NOT NULL UNIQUE,
  name          text NOT NULL,
  password_hash text,                             -- scrypt, self-describing; NULL: cannot sign in by password
  created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE organisations (
  id         text PRIMARY KEY,                    -- orga_<uuid>
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE members (
  org_id     text NOT NULL REFERENCES organisations ON DELETE CASCADE,
  user_id    text NOT NULL REFERENCES users ON DELETE CASCADE,
  role       text NOT NULL CHECK (role IN ('ADMIN', 'MANAGER', 'DEVELOPER', 'ACCOUNTING')),
  is_default boolean NOT NULL DEFAULT false,      -- the user's personal space
  PRIMARY KEY (org_id, user_id)
);
CREATE UNIQUE INDEX members_one_default ON members (user_id) WHERE is_default;

CREATE TABLE oauth_consumers (
  key           text PRIMARY KEY,
  sealed_secret text NOT NULL,                    -- crypto::Vault
  name          text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tokens (
  id            text PRIMARY KEY,                 -- api_token_<uuid>, shown in lists
  kind          text NOT NULL CHECK (kind IN ('oauth', 'bearer', 'session')),
  user_id       text NOT NULL REFERENCES users ON DELETE CASCADE,
  consumer_key  text REFERENCES oauth_consumers ON DELETE CASCADE,
  token         text UNIQUE,                      -- oauth: sent in clear, names the pair
  sealed_secret text,                             -- oauth: HMAC needs it in clear
  token_hash    text UNIQUE,                      -- bearer, session: SHA-256 of the token
  name          text NOT NULL DEFAULT '',
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz NOT NULL
);

CREATE TABLE oauth_nonces (
  token   text NOT NULL,
  nonce   text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (token, nonce)
);

CREATE TABLE apps (
  id                 text PRIMARY KEY,            -- app_<uuid>
  org_id             text NOT NULL REFERENCES organisations,
  name               text NOT NULL,
  description        text NOT NULL DEFAULT '',
  zone               text NOT NULL,
  variant            text NOT NULL,               -- what the owner chose: node, python, static, cpp, or auto
  state              text NOT NULL DEFAULT 'SHOULD_BE_DOWN'
                     CHECK (state IN ('SHOULD_BE_DOWN', 'WANTS_TO_BE_UP', 'SHOULD_BE_UP')),
  branch             text,                        -- the branch that deploys; NULL: master or main
  min_instances      int NOT NULL DEFAULT 1 CHECK (min_instances BETWEEN 1 AND 40),
  max_instances      int NOT NULL DEFAULT 1 CHECK (max_instances BETWEEN 1 AND 40),
  min_flavor         text NOT NULL,
  max_flavor         text NOT NULL,
  build_flavor       text NOT NULL,
  separate_build     boolean NOT NULL DEFAULT true,
  homogeneous        boolean NOT NULL DEFAULT false,
  sticky_sessions    boolean NOT NULL DEFAULT false,
  cancel_on_push     boolean NOT NULL DEFAULT false,
  force_https        boolean NOT NULL DEFAULT false,
  lifetime           text NOT NULL DEFAULT 'REGULAR' CHECK (lifetime IN ('REGULAR', 'TASK')),
  commit_id          text,                        -- the commit in service
  serving_deployment text,                        -- deployments.uuid in service; NULL: none
  next_deployment    int NOT NULL DEFAULT 1,      -- number of the next deployment
  created_at         timestamptz NOT NULL DEFAULT now(),
  deleted_at         timestamptz,                 -- the owner asked; the scheduler takes it down
  torn_down_at       timestamptz,                 -- no VM and no route is left; api may remove the repository
  CHECK (min_instances <= max_instances)
);
CREATE INDEX apps_by_org ON apps (org_id) WHERE deleted_at IS NULL;

CREATE TABLE app_env (
  app_id       text NOT NULL REFERENCES apps ON DELETE CASCADE,
  name         text NOT NULL,
  sealed_value text NOT NULL,
  PRIMARY KEY (app_id, name)
);

CREATE TABLE vhosts (
  host       text NOT NULL,                       -- lower case, no port
  path       text NOT NULL DEFAULT '/',           -- prefix, begins and ends with '/'
  app_id     text NOT NULL REFERENCES apps ON DELETE CASCADE,
  favourite  boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (host, path)
);
CREATE INDEX vhosts_by_app ON vhosts (app_id);

CREATE TABLE artifacts (
  digest     text PRIMARY KEY,                    -- SHA-256 of the erofs file
  build_key  text NOT NULL UNIQUE,                -- digest of tree + plan + image: same key, same artifact
  bytes      bigint NOT NULL,
  runtime    text NOT NULL,
  plan       jsonb NOT NULL,                      -- wire::BuildPlan; holds the run command
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE deployments (
  uuid             text PRIMARY KEY,              -- deployment_<uuid>
  app_id           text NOT NULL REFERENCES apps ON DELETE CASCADE,
  number           int NOT NULL,                  -- per app, from 1; the integer id of the v2 API
  action           text NOT NULL CHECK (action IN ('DEPLOY', 'UNDEPLOY', 'UPSCALE', 'DOWNSCALE')),
  cause            text NOT NULL,                 -- "Git push", "Restart", "Scaling", ...
  author           text NOT NULL,
  commit_id        text,                          -- full sha; NULL only for UNDEPLOY
  use_cache        boolean NOT NULL DEFAULT true, -- false: build again whatever the key
  instances        int NOT NULL DEFAULT 1,
  flavor           text NOT NULL,
  sealed_env       text NOT NULL DEFAULT '',      -- JSON object of the env at request time, sealed with context = uuid
  state            text NOT NULL DEFAULT 'WIP' CHECK (state IN ('WIP', 'OK', 'FAIL', 'CANCELLED')),
  phase            text NOT NULL DEFAULT 'queued'
                   CHECK (phase IN ('queued', 'building', 'starting', 'switching', 'draining', 'ended')),
  cancel_requested boolean NOT NULL DEFAULT false,
  message          text NOT NULL DEFAULT '',      -- why it failed, for its owner
  build_id         text,
  artifact_digest  text REFERENCES artifacts,
  switch_version   bigint,                        -- route version that put it in service
  requested_at     timestamptz NOT NULL DEFAULT now(),
  phase_since      timestamptz NOT NULL DEFAULT now(),
  ended_at         timestamptz,
  UNIQUE (app_id, number)
);
CREATE INDEX deployments_open ON deployments (app_id, number) WHERE state = 'WIP';

CREATE TABLE builds (
  id              text PRIMARY KEY,               -- build_<uuid>
  app_id          text NOT NULL REFERENCES apps ON DELETE CASCADE,
  deployment      text NOT NULL REFERENCES deployments ON DELETE CASCADE,
  commit_id       text NOT NULL,
  use_cache       boolean NOT NULL,
  state           text NOT NULL DEFAULT 'queued'
                  CHECK (state IN ('queued', 'planning', 'prepared', 'running', 'built', 'succeeded', 'failed')),
  lease_until     timestamptz,                    -- a builder works on it until then
  runtime         text,                           -- key of the image catalogue
  plan            jsonb,                          -- wire::BuildPlan, from 'prepared' on
  build_key       text,
  output_bytes    bigint,                         -- from 'built' on
  artifact_digest text REFERENCES artifacts,      -- from 'succeeded' on
  message         text NOT NULL DEFAULT '',       -- why it failed
  created_at      timestamptz NOT NULL DEFAULT now(),
  state_since     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX builds_open ON builds (state) WHERE state NOT IN ('succeeded', 'failed');

CREATE TABLE hosts (
  id                 text PRIMARY KEY,
  address            text NOT NULL DEFAULT '',
  memory_mb          bigint NOT NULL,
  vcpus              int NOT NULL,
  accelerator        text NOT NULL DEFAULT '',    -- "kvm" or "tcg"
  accelerator_detail text NOT NULL DEFAULT '',    -- the measured figures
  agent_boot         text NOT NULL DEFAULT '',
  generation_sent    bigint NOT NULL DEFAULT 0,
  generation_applied bigint NOT NULL DEFAULT 0,
  desired_hash       text NOT NULL DEFAULT '',    -- of the last HostDesired written to the outbox
  last_seen          timestamptz NOT NULL
);

CREATE TABLE instances (
  id             text PRIMARY KEY,                -- bare UUID
  app_id         text NOT NULL REFERENCES apps ON DELETE CASCADE,
  deployment     text NOT NULL REFERENCES deployments ON DELETE CASCADE,
  build_id       text REFERENCES builds ON DELETE CASCADE,  -- kind build only
  kind           text NOT NULL CHECK (kind IN ('run', 'build')),
  number         int NOT NULL,                    -- INSTANCE_NUMBER, 0..n-1
  host_id        text NOT NULL REFERENCES hosts,
  flavor         text NOT NULL,
  wanted         boolean NOT NULL DEFAULT true,   -- false: the agent must stop it
  phase          text NOT NULL DEFAULT 'placed',  -- of wire::VmStatus as last reported; 'placed' until then
  healthy        boolean NOT NULL DEFAULT false,
  address        text NOT NULL DEFAULT '',        -- host:port reachable by proxies
  detail         text NOT NULL DEFAULT '',
  last_lines     text NOT NULL DEFAULT '',        -- end of the app's output when it failed
  build_result   jsonb,                           -- guest::BuildResult of a build VM that ended
  stages         jsonb NOT NULL DEFAULT '{}',     -- wire::VmStages
  routed         text NOT NULL DEFAULT 'no' CHECK (routed IN ('no', 'yes', 'draining')),
  routed_version bigint NOT NULL DEFAULT 0,       -- route version of the last change of `routed`
  created_at     timestamptz NOT NULL DEFAULT now(),
  unwanted_at    timestamptz,                     -- when it was decided that it goes (its drain begins)
  healthy_at     timestamptz,
  ended_at       timestamptz                      -- the agent says it is gone
);
CREATE INDEX instances_live ON instances (app_id) WHERE ended_at IS NULL;
CREATE INDEX instances_by_deployment ON instances (deployment);

CREATE TABLE proxies (
  id        text PRIMARY KEY,
  version   bigint NOT NULL DEFAULT 0,            -- last acknowledged
  draining  jsonb NOT NULL DEFAULT '{}',          -- instance id -> requests in flight
  last_seen timestamptz NOT NULL
);

CREATE TABLE routes (
  host            text NOT NULL,
  path            text NOT NULL,
  app_id          text NOT NULL,
  sticky_sessions boolean NOT NULL DEFAULT false,
  force_https     boolean NOT NULL DEFAULT false,
  backends        jsonb NOT NULL,                 -- [wire::Backend]
  version         bigint NOT NULL,                -- that last changed this row
  removed         boolean NOT NULL DEFAULT false, -- tombstone, so that deltas tell removals
  PRIMARY KEY (host, path)
);
CREATE INDEX routes_by_version ON routes (version);

CREATE TABLE route_version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version  bigint NOT NULL,
  changed_at timestamptz                          -- NULL: never
);
INSERT INTO route_version (version) VALUES (0);

CREATE TABLE outbox (
  id          bigserial PRIMARY KEY,
  routing_key text NOT NULL,
  body        text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('outbox', '');
  RETURN NULL;
END $$;
CREATE TRIGGER outbox_wakes AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();
