-- Certificates that the proxies serve by, and what the platform does to get them.

CREATE TABLE certificates (
  id          text PRIMARY KEY,                   -- cert_<uuid>
  origin      text NOT NULL CHECK (origin IN ('acme', 'local', 'uploaded')),
  name        text NOT NULL DEFAULT '',           -- acme, local: the one name that it is ordered for, maybe "*.domain"
  app_id      text,                               -- uploaded: whose it is
  names       text[] NOT NULL DEFAULT '{}',       -- that the chain is good for
  hosts       text[] NOT NULL DEFAULT '{}',       -- uploaded: of its application, which alone it is shown for
  chain       text NOT NULL DEFAULT '',           -- PEM; '': there is none yet
  sealed_key  text NOT NULL DEFAULT '',           -- crypto::Vault, context = id
  not_before  timestamptz,
  not_after   timestamptz,
  error       text NOT NULL DEFAULT '',           -- why the last order failed, for the owner; '': it did not
  failures    int NOT NULL DEFAULT 0,             -- in a row
  next_try    timestamptz,                        -- after a failure: not before
  order_until timestamptz,                        -- an order is under way, at most until then
  version     bigint NOT NULL DEFAULT 0,          -- that told the proxies of its chain; 0: they have not been told
  removed     boolean NOT NULL DEFAULT false,     -- the scheduler tells the proxies, then deletes the row
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX certificates_one_per_name ON certificates (origin, name) WHERE origin <> 'uploaded' AND NOT removed;
CREATE INDEX certificates_by_app ON certificates (app_id) WHERE app_id IS NOT NULL;
CREATE INDEX certificates_untold ON certificates (id) WHERE version = 0;

CREATE TABLE acme_challenges (
  kind              text NOT NULL CHECK (kind IN ('http-01', 'tls-alpn-01')),
  host              text NOT NULL,
  token             text NOT NULL,
  key_authorization text NOT NULL,
  certificate_id    text NOT NULL,                -- whose order it belongs to
  until             timestamptz NOT NULL,         -- of no use after
  PRIMARY KEY (kind, host, token)
);

CREATE TABLE acme_accounts (
  directory  text PRIMARY KEY,                    -- of the certificate authority
  sealed_key text NOT NULL                        -- crypto::Vault, context = "acme " + directory
);

CREATE TABLE acme_orders (                        -- of the last day: certificate authorities bound how many they take
  ordered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX acme_orders_by_time ON acme_orders (ordered_at);

CREATE TABLE local_authority (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  domains    text NOT NULL,                       -- that it is confined to, separated by spaces
  root       text NOT NULL,                       -- PEM
  sealed_key text NOT NULL                        -- crypto::Vault, context = "local authority"
);

CREATE TABLE certificate_version (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version    bigint NOT NULL,
  changed_at timestamptz                          -- NULL: never
);
INSERT INTO certificate_version (version) VALUES (0);

CREATE TABLE certificate_proxies (
  id        text PRIMARY KEY,
  version   bigint NOT NULL DEFAULT 0,            -- last acknowledged
  last_seen timestamptz NOT NULL
);
