-- Data keys wrapped by the master key; what is sealed in MySQL is sealed under these.
CREATE TABLE IF NOT EXISTS data_keys (
  id CHAR(36) NOT NULL PRIMARY KEY,
  context VARCHAR(190) NOT NULL,
  wrapped JSON NOT NULL,
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY one_key_a_context (context)
) ENGINE = InnoDB;
