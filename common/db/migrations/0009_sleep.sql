-- Applications sleep when nobody asks for them, and wake with the next request; and what instances were asked.

ALTER TABLE apps ADD COLUMN sleep_after_s int NOT NULL DEFAULT 0 CHECK (sleep_after_s >= 0);  -- without a request; 0: never
ALTER TABLE apps ADD COLUMN sleep text NOT NULL DEFAULT 'awake' CHECK (sleep IN ('awake', 'asleep', 'waking'));
ALTER TABLE apps ADD COLUMN sleep_since timestamptz;      -- when `sleep` has changed; NULL: never
ALTER TABLE routes ADD COLUMN asleep boolean NOT NULL DEFAULT false;
ALTER TABLE instances ADD COLUMN slept boolean NOT NULL DEFAULT false;  -- it was stopped because its application sleeps

CREATE TABLE app_traffic (
  app_id       text PRIMARY KEY REFERENCES apps ON DELETE CASCADE,
  last_request timestamptz NOT NULL,              -- when one was last known to begin, to be in hand or to be held
  in_hand      int NOT NULL DEFAULT 0             -- as the newest report that named it says, of one proxy
);

CREATE TABLE proxy_traffic (
  proxy_id      text PRIMARY KEY,
  process       text NOT NULL,                    -- that sent the newest report
  began         timestamptz NOT NULL,             -- when its clock was 0, as far as its reports tell
  told_ms       bigint NOT NULL,                  -- the newest moment that a report was of, by that clock
  number        bigint NOT NULL,                  -- of that report
  at_ms         bigint NOT NULL,                  -- of the last of which all parts came, by the clock of the process
  parts_seen    bigint NOT NULL,                  -- of it: bit n for part n
  covered_since timestamptz,                      -- all that was asked between these two is known; NULL: nothing is
  covered_until timestamptz
);

-- What each instance has answered, counted by each process of each proxy since it began to: one row a report that
-- names the instance, of the last minutes, and the newest before that.
CREATE TABLE instance_traffic (
  instance_id text NOT NULL,
  proxy_id    text NOT NULL,
  at          timestamptz NOT NULL,
  process     text NOT NULL,
  requests    bigint NOT NULL,
  failures    bigint NOT NULL,                    -- answers of 500 and above
  times_us    bigint NOT NULL,                    -- of all together
  times       bigint[] NOT NULL,                  -- by wire::time_bounds_ms, one more than these
  in_hand     int NOT NULL,                       -- at that moment
  PRIMARY KEY (instance_id, proxy_id, at)
);
CREATE INDEX instance_traffic_by_time ON instance_traffic (at);

-- The last minute of each instance that was asked in it. A counter that is less than before has begun anew.
CREATE VIEW instance_last_minute AS
WITH newest AS (
  SELECT DISTINCT ON (instance_id, proxy_id, process) * FROM instance_traffic
  WHERE at > now() - interval '1 minute' ORDER BY instance_id, proxy_id, process, at DESC
), came AS (
  -- Who has requests in hand is named in each report.
  SELECT n.instance_id, CASE WHEN n.at > now() - interval '15 seconds' THEN n.in_hand ELSE 0 END AS in_hand,
         CASE WHEN b.requests IS NULL OR n.requests < b.requests THEN n.requests ELSE n.requests - b.requests END AS requests,
         CASE WHEN b.requests IS NULL OR n.requests < b.requests THEN n.failures ELSE n.failures - b.failures END AS failures,
         CASE WHEN b.requests IS NULL OR n.requests < b.requests THEN n.times_us ELSE n.times_us - b.times_us END AS times_us
  FROM newest n LEFT JOIN LATERAL (
    SELECT * FROM instance_traffic o
    WHERE o.instance_id = n.instance_id AND o.proxy_id = n.proxy_id AND o.process = n.process
          AND o.at <= now() - interval '1 minute'
    ORDER BY o.at DESC LIMIT 1) b ON true
)
SELECT instance_id, sum(requests)::bigint AS requests, sum(failures)::bigint AS failures,
       CASE WHEN sum(requests) > 0 THEN sum(times_us)::float8 / sum(requests)::float8 / 1000 END AS mean_ms,
       sum(in_hand)::int AS in_hand
FROM came GROUP BY instance_id;
