-- The right of one device to enrol once. Only a SHA-256 of the one-time secret (>= 128 random bits) is kept.
CREATE TABLE IF NOT EXISTS registrations (
  id CHAR(36) NOT NULL PRIMARY KEY,
  tenant VARCHAR(63) NOT NULL,
  device_name VARCHAR(64) NOT NULL,
  secret_hash BINARY(32) NOT NULL,
  created_by VARCHAR(190) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  used_at DATETIME(3) NULL,
  UNIQUE KEY one_registration_a_device (tenant, device_name)
) ENGINE = InnoDB;
