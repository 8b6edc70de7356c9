CREATE TABLE IF NOT EXISTS licenses (
  id VARCHAR(64) NOT NULL PRIMARY KEY,
  token TEXT NOT NULL COMMENT 'signed JSON (JWS, compact)',
  licensee VARCHAR(190) NOT NULL,
  device_limit INT UNSIGNED NOT NULL,
  not_after DATETIME(3) NOT NULL,
  installed_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
