-- TCP services: ports of the proxies that lead to port 4040 of an application's instances.
CREATE TABLE tcp_redirections (
  port        int PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
  app_id      text NOT NULL,                      -- whose it is, or was last
  created_at  timestamptz NOT NULL DEFAULT now(),
  released_at timestamptz                         -- NULL: in use; else nobody else gets it for a while
);
CREATE INDEX tcp_redirections_by_app ON tcp_redirections (app_id);

CREATE TABLE tcp_routes (                         -- as routes
  port     int PRIMARY KEY,
  app_id   text NOT NULL,
  backends jsonb NOT NULL,                        -- [wire::Backend]
  version  bigint NOT NULL,                       -- that last changed this row
  removed  boolean NOT NULL DEFAULT false
);
