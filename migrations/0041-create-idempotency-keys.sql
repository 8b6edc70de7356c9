-- Answers to POSTs of setup with an Idempotency-Key, for a day. `request_mac` and `key_hash` tell nothing of key or body; the answer holds no secret.
CREATE TABLE IF NOT EXISTS idempotency_keys (
  install_id CHAR(36) NOT NULL,
  key_hash CHAR(64) NOT NULL,
  request_mac CHAR(64) NOT NULL,
  holder_hash CHAR(64) NOT NULL,
  answer MEDIUMTEXT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (install_id, key_hash),
  INDEX idempotency_keys_age (created_at)
) ENGINE = InnoDB;
