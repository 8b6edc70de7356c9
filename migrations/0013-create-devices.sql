CREATE TABLE IF NOT EXISTS devices (
  id CHAR(36) NOT NULL PRIMARY KEY,
  tenant VARCHAR(63) NOT NULL,
  name VARCHAR(64) NOT NULL,
  registration_id CHAR(36) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY one_name (tenant, name)
) ENGINE = InnoDB;
