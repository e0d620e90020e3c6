-- What apps run on: images, the news of newer ones, and rolls, which bring apps onto these (docs/updates.md).

-- Run images that the catalogue names, or that an app runs on.
CREATE TABLE images (
  runtime  text NOT NULL,                         -- key of the image catalogue
  digest   text NOT NULL,
  version  text NOT NULL DEFAULT '',              -- what it is and of which release of Debian, as the catalogue says it
  versions jsonb,                                 -- tool -> version; NULL: the catalogue never named it when it was looked at
  packages jsonb,                                 -- package -> version; NULL: its manifest was gone when it was first seen
  current  boolean NOT NULL,                      -- the catalogue names it
  seen_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (runtime, digest)
);
CREATE UNIQUE INDEX images_one_current ON images (runtime) WHERE current;

-- What its instances boot, from 'starting' on. builds.run_image is what the artifact was made for.
ALTER TABLE deployments ADD COLUMN runtime text, ADD COLUMN run_image text;
UPDATE deployments d SET runtime = b.runtime, run_image = b.run_image
  FROM builds b WHERE b.id = d.build_id AND d.artifact_digest IS NOT NULL;

-- Owners were told, once, that the app runs on an older image than this one.
CREATE TABLE image_news (
  app_id    text NOT NULL REFERENCES apps ON DELETE CASCADE,
  runtime   text NOT NULL,
  image     text NOT NULL,                        -- the newer one
  old_image text NOT NULL,
  told_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, runtime, image)
);
CREATE INDEX image_news_by_time ON image_news (told_at);

CREATE TABLE rolls (
  id               text PRIMARY KEY,              -- roll_<uuid>
  org_id           text NOT NULL REFERENCES organisations,
  author           text NOT NULL,
  wave_size        int NOT NULL CHECK (wave_size BETWEEN 1 AND 1000),
  state            text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped', 'cancelled')),
  cancel_requested boolean NOT NULL DEFAULT false,
  message          text NOT NULL DEFAULT '',      -- why it ended before its time
  requested_at     timestamptz NOT NULL DEFAULT now(),
  ended_at         timestamptz
);
CREATE UNIQUE INDEX rolls_one_active ON rolls (org_id) WHERE state = 'running';
CREATE INDEX rolls_by_org ON rolls (org_id, requested_at);

CREATE TABLE roll_apps (
  roll_id    text NOT NULL REFERENCES rolls ON DELETE CASCADE,
  app_id     text NOT NULL,                       -- which may be gone
  name       text NOT NULL,                       -- of the app, then
  wave       int NOT NULL,                        -- from 0
  position   int NOT NULL,                        -- in the roll
  step       text NOT NULL DEFAULT 'waiting'
             CHECK (step IN ('waiting', 'deploying', 'done', 'skipped', 'failed', 'untouched')),
  deployment text,                                -- from 'deploying' on; NULL also: skipped
  message    text NOT NULL DEFAULT '',            -- what it waits for, why it was skipped or failed
  PRIMARY KEY (roll_id, app_id)
);
CREATE INDEX roll_apps_by_deployment ON roll_apps (deployment) WHERE deployment IS NOT NULL;
