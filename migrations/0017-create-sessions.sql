-- Control Panel sessions; only a SHA-256 of the cookie is kept.
CREATE TABLE IF NOT EXISTS sessions (
  id_hash BINARY(32) NOT NULL PRIMARY KEY,
  administrator_id CHAR(36) NOT NULL,
  csrf CHAR(43) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
