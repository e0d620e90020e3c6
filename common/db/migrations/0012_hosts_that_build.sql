-- Hosts that fetch artifacts and images from the store do not share the data folder, and take no builds.
ALTER TABLE hosts ADD COLUMN builds boolean NOT NULL DEFAULT true;
