-- Artifacts that nothing needs are removed, what was deployed from them stays; one build key may have had several.
ALTER TABLE artifacts DROP COLUMN build_key;
ALTER TABLE deployments DROP CONSTRAINT deployments_artifact_digest_fkey,
  ADD FOREIGN KEY (artifact_digest) REFERENCES artifacts ON DELETE SET NULL;
CREATE INDEX deployments_by_artifact ON deployments (artifact_digest);

-- builds.build_key: digest of tree + plan + image + env: same key, same artifact.
-- builds.artifact_digest: from 'succeeded' on, until nothing needs it.
ALTER TABLE builds DROP CONSTRAINT builds_artifact_digest_fkey,
  ADD FOREIGN KEY (artifact_digest) REFERENCES artifacts ON DELETE SET NULL,
  ADD attempts    int NOT NULL DEFAULT 0,         -- how often a builder took up this stage of it
  ADD disk_bytes  bigint,                         -- disk space it may take at most, from its preparation on
  ADD waits_since timestamptz,                    -- it waits for disk space; NULL: it does not
  ADD run_image   text;                           -- digest of the image its instances boot, with the plan
CREATE INDEX builds_by_artifact ON builds (artifact_digest);
CREATE INDEX builds_by_key ON builds (build_key, created_at) WHERE state = 'succeeded';

CREATE INDEX instances_ended ON instances (ended_at) WHERE ended_at IS NOT NULL;

-- outbox.routing_key: of the exchange, or the name of a log stream.
ALTER TABLE outbox ADD is_stream boolean NOT NULL DEFAULT false;
