-- Commands that run once in a VM of their own: release commands, crons, tasks.

CREATE TABLE jobs (
  id               text PRIMARY KEY,              -- job_<uuid>
  app_id           text NOT NULL REFERENCES apps ON DELETE CASCADE,
  deployment       text NOT NULL REFERENCES deployments ON DELETE CASCADE,  -- whose artifact and environment it has
  kind             text NOT NULL CHECK (kind IN ('release', 'cron', 'task')),
  command          text NOT NULL,                 -- shell
  schedule         text NOT NULL DEFAULT '',      -- cron: as the owner wrote it
  due              timestamptz,                   -- cron: the time that it runs for
  author           text NOT NULL DEFAULT '',      -- task: who asked
  flavor           text NOT NULL,
  wall_ms          bigint NOT NULL CHECK (wall_ms > 0),  -- it is ended after it
  state            text NOT NULL DEFAULT 'queued'
                   CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
  cancel_requested boolean NOT NULL DEFAULT false,
  message          text NOT NULL DEFAULT '',      -- what it waits for, or how it ended
  exit_code        int,                           -- once it ended by itself; 128 + n by signal n
  instance_id      text,                          -- that runs it, or did last
  requested_at     timestamptz NOT NULL DEFAULT now(),
  started_at       timestamptz,                   -- it was placed on a host
  ended_at         timestamptz
);
CREATE INDEX jobs_open ON jobs (app_id) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_app ON jobs (app_id, requested_at);
CREATE INDEX jobs_by_deployment ON jobs (deployment);
CREATE UNIQUE INDEX jobs_one_a_time ON jobs (app_id, schedule, command, due) WHERE kind = 'cron';

-- Up to when the times of an entry of an app's cron have been dealt with.
CREATE TABLE cron_marks (
  app_id   text NOT NULL REFERENCES apps ON DELETE CASCADE,
  schedule text NOT NULL,
  command  text NOT NULL,
  mark     timestamptz NOT NULL,
  PRIMARY KEY (app_id, schedule, command)
);

ALTER TABLE apps ADD COLUMN cron jsonb NOT NULL DEFAULT '[]';  -- [wire::CronEntry] of the version in service

ALTER TABLE deployments DROP CONSTRAINT deployments_phase_check,
  ADD CONSTRAINT deployments_phase_check
  CHECK (phase IN ('queued', 'building', 'releasing', 'starting', 'switching', 'draining', 'ended'));

ALTER TABLE instances DROP CONSTRAINT instances_kind_check,
  ADD CONSTRAINT instances_kind_check CHECK (kind IN ('run', 'build', 'job')),
  ADD COLUMN job_id text REFERENCES jobs ON DELETE CASCADE,  -- kind job only
  ADD COLUMN exit jsonb;                          -- guest::Exit of one that ended by itself
