-- Rules that the proxy keeps for an application (wire::Rules): those that its owner wants, and those that its routes have.
ALTER TABLE apps ADD COLUMN rules jsonb;          -- NULL: none
ALTER TABLE routes ADD COLUMN rules jsonb;        -- NULL: none
