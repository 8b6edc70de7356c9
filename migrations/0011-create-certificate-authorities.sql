CREATE TABLE IF NOT EXISTS certificate_authorities (
  key_id CHAR(32) NOT NULL PRIMARY KEY,
  tenant VARCHAR(63) NOT NULL,
  certificate BLOB NOT NULL COMMENT 'DER',
  device_days INT UNSIGNED NOT NULL,
  created_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
