-- How far the data keys are that a new version of a key must re-wrap: counted in the transaction that wrote them.
CREATE TABLE IF NOT EXISTS key_rotations (
  id CHAR(36) NOT NULL PRIMARY KEY,
  purpose ENUM('master', 'tenant') NOT NULL,
  tenant VARCHAR(63) NOT NULL DEFAULT '',
  from_key CHAR(32) NOT NULL,
  to_key CHAR(32) NOT NULL,
  state ENUM('rewrapping', 'done') NOT NULL,
  total INT UNSIGNED NOT NULL,
  rewrapped INT UNSIGNED NOT NULL DEFAULT 0,
  unreadable INT UNSIGNED NOT NULL DEFAULT 0,
  last_row VARCHAR(36) NOT NULL DEFAULT '' COMMENT 'data_keys.id up to which this pass came',
  started_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3) NULL,
  UNIQUE KEY one_rotation_a_version (to_key)
) ENGINE = InnoDB;
