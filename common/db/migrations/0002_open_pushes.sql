-- Pushes that were accepted and not yet answered: what a branch has to become when the program that answers them dies.
CREATE TABLE open_pushes (
  deployment text PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
  ref        text NOT NULL,                       -- refs/heads/...
  old_id     text NOT NULL,                       -- where the pusher saw it; 40 zeros: absent
  new_id     text NOT NULL,
  shallow    boolean NOT NULL,                    -- the pusher has only a part of the history
  owner      bigint NOT NULL                      -- of the process that answers it: an advisory lock held while that lives
);

-- Which deployment has moved a branch: an older one never moves it back.
CREATE TABLE branches (
  app_id text NOT NULL REFERENCES apps ON DELETE CASCADE,
  ref    text NOT NULL,                           -- refs/heads/...
  number int NOT NULL,                            -- deployments.number
  PRIMARY KEY (app_id, ref)
);
