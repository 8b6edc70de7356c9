-- A key is replaced by a new version of itself: one is active (it wraps what is new), the others are retired (they only open
-- what they wrapped) until they are destroyed by name.
ALTER TABLE kms_keys
  ADD COLUMN /*M! IF NOT EXISTS */ version INT UNSIGNED NOT NULL DEFAULT 1,
  ADD COLUMN /*M! IF NOT EXISTS */ check_value CHAR(6) NULL COMMENT 'of an AES key, hex',
  ADD COLUMN /*M! IF NOT EXISTS */ retired_at DATETIME(3) NULL,
  MODIFY COLUMN purpose ENUM('master', 'service-ca', 'tenant-ca', 'tenant', 'signing') NOT NULL,
  MODIFY COLUMN state ENUM('intent', 'active', 'retired', 'destroyed') NOT NULL,
  ADD UNIQUE KEY /*M! IF NOT EXISTS */ one_key_a_version (purpose, tenant, version),
  DROP KEY /*M! IF EXISTS */ one_key_a_purpose;
